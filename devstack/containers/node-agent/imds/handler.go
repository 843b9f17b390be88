package imds

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const timeFormat = "2006-01-02T15:04:05Z"

// version is the first element of each path: a date, or "latest".
var version = regexp.MustCompile(`^/(latest|1\.0|\d{4}-\d{2}-\d{2})(/|$)`)

// Handler serves the metadata of one instance, with version 1 and 2 of the protocol.
//
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-categories.html
type Handler struct {
	instance atomic.Pointer[Instance]
	tokens   *tokens
	now      func() time.Time
}

// NewHandler returns a handler without an instance.
func NewHandler() *Handler {
	return &Handler{tokens: newTokens(), now: time.Now}
}

// Set sets the instance.
func (h *Handler) Set(instance *Instance) { h.instance.Store(instance) }

func (h *Handler) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	response.Header().Set("Server", "EC2ws")
	instance := h.instance.Load()
	if instance == nil {
		http.NotFound(response, request)
		return
	}
	if request.URL.Path == "/latest/api/token" {
		h.tokens.issue(response, request, h.now())
		return
	}
	if request.Method != http.MethodGet && request.Method != http.MethodHead {
		http.Error(response, "", http.StatusMethodNotAllowed)
		return
	}
	if token := request.Header.Get(tokenHeader); token != "" && !h.tokens.valid(token, h.now()) {
		http.Error(response, "", http.StatusUnauthorized)
		return
	}
	answer(response, request, instance)
}

func answer(response http.ResponseWriter, request *http.Request, instance *Instance) {
	found := version.FindString(request.URL.Path)
	if found == "" {
		http.NotFound(response, request)
		return
	}
	key := strings.Trim(strings.TrimPrefix(request.URL.Path, found), "/")
	values := instance.values()
	if text, known := values[key]; known {
		response.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(response, text)
		return
	}
	if names := children(values, key); len(names) > 0 {
		response.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(response, strings.Join(names, "\n"))
		return
	}
	http.NotFound(response, request)
}

// children returns the names below a folder; those that are folders end with a slash.
func children(values map[string]string, folder string) []string {
	if folder != "" {
		folder += "/"
	}
	var names []string
	for key := range values {
		rest, below := strings.CutPrefix(key, folder)
		if !below {
			continue
		}
		first, _, nested := strings.Cut(rest, "/")
		if nested {
			first += "/"
		}
		names = append(names, first)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// values returns everything that is served, by the path below the version.
func (i *Instance) values() map[string]string {
	lifecycle := "on-demand"
	if i.Spot {
		lifecycle = "spot"
	}
	values := map[string]string{
		"meta-data/ami-id":                      imageID,
		"meta-data/hostname":                    i.Hostname,
		"meta-data/instance-id":                 i.ID,
		"meta-data/instance-life-cycle":         lifecycle,
		"meta-data/instance-type":               i.Type,
		"meta-data/local-hostname":              i.Hostname,
		"meta-data/local-ipv4":                  i.Address,
		"meta-data/placement/availability-zone": i.Zone,
		"meta-data/placement/region":            i.Region,
		"meta-data/services/domain":             "amazonaws.com",
		"meta-data/services/partition":          "aws",
		"dynamic/instance-identity/document":    i.document(),
	}
	if !i.Termination.IsZero() {
		when := i.Termination.UTC().Format(timeFormat)
		values["meta-data/spot/termination-time"] = when
		values["meta-data/spot/instance-action"] = fmt.Sprintf(`{"action":"terminate","time":%q}`, when)
	}
	return values
}

const imageID = "ami-00000000000000000"

// document returns the identity document; null where EC2 has it for such an instance.
func (i *Instance) document() string {
	text, _ := json.MarshalIndent(map[string]any{
		"accountId":               accountID,
		"architecture":            architecture,
		"availabilityZone":        i.Zone,
		"billingProducts":         nil,
		"devpayProductCodes":      nil,
		"marketplaceProductCodes": nil,
		"imageId":                 imageID,
		"instanceId":              i.ID,
		"instanceType":            i.Type,
		"kernelId":                nil,
		"pendingTime":             i.Started.UTC().Format(timeFormat),
		"privateIp":               i.Address,
		"ramdiskId":               nil,
		"region":                  i.Region,
		"version":                 "2017-09-30",
	}, "", "  ")
	return string(text)
}
