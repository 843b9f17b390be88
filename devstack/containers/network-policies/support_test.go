package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestTheAnnotationIsWrittenOnceTheAPIAnswers(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "space")
	t.Setenv("POD_NAME", "pod-1")
	var requests []string
	server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		requests = append(requests, request.Method+" "+request.URL.Path+" "+string(body))
		response.Header().Set("Content-Type", "application/json")
		if len(requests) == 1 {
			response.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = response.Write([]byte(`{"kind": "Pod", "apiVersion": "v1"}`))
	}))
	defer server.Close()
	client := kubernetes.NewForConfigOrDie(&rest.Config{Host: server.URL})
	for _, reason := range []error{errors.New("no queue"), nil} {
		if err := reportSupport(context.Background(), client, reason); err != nil {
			t.Fatal(err)
		}
	}
	const call = `PATCH /api/v1/namespaces/space/pods/pod-1 {"metadata":{"annotations":{"` + unsupportedAnnotation + `":`
	want := []string{call + `"no queue"}}}`, call + `"no queue"}}}`, call + `null}}}`}
	for index := range max(len(want), len(requests)) {
		if len(want) != len(requests) || want[index] != requests[index] {
			t.Fatalf("requests: %q", requests)
		}
	}
}

func TestAQueueIsReadOnceTheKernelListsIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nfnetlink_queue")
	if !queueIsRead(file) {
		t.Error("a kernel that lists no queues is taken for one that has none")
	}
	for text, want := range map[string]bool{
		"": false,
		"    0   4711     0 2   128     0     0      100  1\n":     false,
		"    0   1  0 2 128 0 0 0 1\n  100   2  0 2 128 0 0 1 1\n": true,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if found := queueIsRead(file); found != want {
			t.Errorf("%q: %v", text, found)
		}
	}
}
