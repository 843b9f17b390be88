package imds

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"devstack/containers/node-agent/node"
)

const meta = "/latest/meta-data/"

func instanceOf(labels, annotations map[string]string) *Instance {
	return FromNode(node.Node{
		Name: "stack-gpu-0", UID: "some-uid", Labels: labels, Annotations: annotations,
	}, "172.18.0.3")
}

func spot(annotations map[string]string) *Instance {
	return instanceOf(map[string]string{
		instanceTypeLabel: "p3.8xlarge",
		zoneLabel:         "eu-west-1b",
		regionLabel:       "eu-west-1",
		lifecycleLabel:    "spot",
	}, annotations)
}

func serve(instance *Instance) *Handler {
	handler := NewHandler()
	handler.Set(instance)
	return handler
}

func request(handler http.Handler, method, path string, headers ...string) (int, string) {
	sent := httptest.NewRequest(method, path, nil)
	for index := 0; index < len(headers); index += 2 {
		sent.Header.Set(headers[index], headers[index+1])
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, sent)
	return recorder.Code, recorder.Body.String()
}

func expect(t *testing.T, handler http.Handler, path string, code int, text string) {
	t.Helper()
	if gotCode, got := request(handler, "GET", path); gotCode != code || (text != "" && got != text) {
		t.Errorf("%s: %d %q, expected %d %q", path, gotCode, got, code, text)
	}
}

func TestNodesOfEC2TypesAndSpotNodesAreInstances(t *testing.T) {
	for _, each := range []struct {
		kind, lifecycle, expected string
	}{
		{"p3.8xlarge", "", "p3.8xlarge"},
		{"p3.8xlarge", "spot", "p3.8xlarge"},
		{"", "spot", defaultType},
		{"", "", ""},
		{"a2-highgpu-1g", "spot", ""},
		{"Standard_NC24s_v3", "", ""},
	} {
		made := instanceOf(map[string]string{instanceTypeLabel: each.kind, lifecycleLabel: each.lifecycle}, nil)
		got := ""
		if made != nil {
			got = made.Type
		}
		if got != each.expected {
			t.Errorf("%v: %q", each, got)
		}
	}
}

func TestAnInstanceIsDescribedAsEC2DoesIt(t *testing.T) {
	handler := serve(spot(nil))
	expect(t, handler, meta+"instance-type", 200, "p3.8xlarge")
	expect(t, handler, meta+"placement/region", 200, "eu-west-1")
	expect(t, handler, meta+"placement/availability-zone", 200, "eu-west-1b")
	expect(t, handler, meta+"instance-life-cycle", 200, "spot")
	expect(t, handler, "/2021-07-15/meta-data/local-ipv4", 200, "172.18.0.3")
	expect(t, handler, meta+"placement/", 200, "availability-zone\nregion")
	expect(t, handler, meta+"iam/security-credentials/", 404, "")
	expect(t, handler, "/", 404, "")
	if _, id := request(handler, "GET", meta+"instance-id"); len(id) != 19 || !strings.HasPrefix(id, "i-") {
		t.Errorf("instance-id %q", id)
	}
	var document map[string]any
	_, text := request(handler, "GET", "/latest/dynamic/instance-identity/document")
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		"instanceType": "p3.8xlarge", "region": "eu-west-1", "availabilityZone": "eu-west-1b",
	} {
		if document[key] != value {
			t.Errorf("document: %s is %v", key, document[key])
		}
	}
}

func TestTheNoticeOfAnInterruptionIsServedToSpotInstancesOnly(t *testing.T) {
	notice := map[string]string{TerminationAnnotation: "2026-01-02T03:04:05Z"}
	quiet, warned := serve(spot(nil)), serve(spot(notice))
	onDemand := serve(instanceOf(map[string]string{instanceTypeLabel: "m5.large"}, notice))
	for _, path := range []string{"spot/termination-time", "spot/instance-action", "spot/"} {
		expect(t, quiet, meta+path, 404, "")
		expect(t, onDemand, meta+path, 404, "")
	}
	expect(t, onDemand, meta+"instance-life-cycle", 200, "on-demand")
	expect(t, warned, meta+"spot/termination-time", 200, "2026-01-02T03:04:05Z")
	expect(t, warned, meta+"spot/instance-action", 200,
		`{"action":"terminate","time":"2026-01-02T03:04:05Z"}`)
}

func TestTokensOfVersion2(t *testing.T) {
	handler := serve(spot(nil))
	now := time.Now()
	handler.now = func() time.Time { return now }
	code, token := request(handler, "PUT", "/latest/api/token", tokenTTLHeader, "60")
	if code != 200 || token == "" {
		t.Fatalf("%d %q", code, token)
	}
	get := func(token string) int {
		code, _ := request(handler, "GET", meta+"instance-id", tokenHeader, token)
		return code
	}
	if code := get(token); code != 200 {
		t.Errorf("with a token: %d", code)
	}
	if code := get("x" + token); code != 401 {
		t.Errorf("with another token: %d", code)
	}
	now = now.Add(time.Minute)
	if code := get(token); code != 401 {
		t.Errorf("with an expired token: %d", code)
	}
	for code, headers := range map[int][]string{
		400: {tokenTTLHeader, "21601"},
		403: {tokenTTLHeader, "60", "X-Forwarded-For", "10.0.0.1"},
	} {
		if got, _ := request(handler, "PUT", "/latest/api/token", headers...); got != code {
			t.Errorf("%v: %d", headers, got)
		}
	}
	if code, _ := request(handler, "POST", meta+"instance-id"); code != 405 {
		t.Errorf("POST: %d", code)
	}
}

func TestNothingListensOnOtherNodes(t *testing.T) {
	server := NewServer("127.0.0.1:10312")
	url := "http://127.0.0.1:10312" + meta + "instance-type"
	if _, err := http.Get(url); err == nil {
		t.Error("it listens before there is an instance")
	}
	for _, kind := range []string{"m5.large", "p3.8xlarge"} {
		labels := map[string]string{instanceTypeLabel: kind}
		if err := server.Update(instanceOf(labels, nil)); err != nil {
			t.Fatal(err)
		}
		response, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	if err := server.Update(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(url); err == nil {
		t.Error("it listens without an instance")
	}
}
