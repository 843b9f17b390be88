package node

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func event(kind, pool string) string {
	return fmt.Sprintf(`{"type":%q,"object":{"kind":"PartialObjectMetadata","metadata":`+
		`{"name":"here","uid":"u","labels":{"pool":%q}}}}`+"\n", kind, pool)
}

func TestTheNodeIsReportedAfterEachChangeAndEachNewWatch(t *testing.T) {
	watches := 0
	server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		watches++
		query := request.URL.Query()
		switch {
		case request.Header.Get("Authorization") != "Bearer token",
			query.Get("fieldSelector") != "metadata.name=here", query.Get("watch") != "true":
			http.Error(response, "unexpected request", http.StatusBadRequest)
		case watches == 1:
			http.Error(response, "not yet", http.StatusServiceUnavailable)
		case watches == 2:
			fmt.Fprint(response, event("ADDED", "a"), event("BOOKMARK", ""), event("MODIFIED", "b"))
		default:
			fmt.Fprint(response, event("ADDED", "c"))
			response.(http.Flusher).Flush()
			<-request.Context().Done()
		}
	}))
	defer server.Close()
	watcher := &Watcher{
		Name:    "here",
		BaseURL: server.URL,
		Token:   func() (string, error) { return "token", nil },
		Client:  server.Client(),
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	var pools []string
	var errors []error
	watcher.Run(ctx, func(now Node) {
		if pools = append(pools, now.Labels["pool"]); len(pools) == 3 {
			stop()
		}
	}, func(err error) { errors = append(errors, err) })
	if fmt.Sprint(pools) != "[a b c]" || len(errors) != 1 {
		t.Errorf("reported %v, errors %v", pools, errors)
	}
}
