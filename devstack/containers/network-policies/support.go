package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

const (
	// unsupportedAnnotation of a pod of this program says why its node enforces nothing;
	// `devstack status` shows it. devstack/services/network_policies.py has the same name.
	unsupportedAnnotation = "devstack.dev/network-policies-unsupported"

	healthAddress = "127.0.0.1:10312"
	queuesFile    = "/proc/net/netfilter/nfnetlink_queue"
)

// reportSupport writes the annotation of this program's pod, or removes it: the pod of a
// container that was started again still has that of its predecessor. A node that has just joined
// may not reach the API yet, so this is repeated until it succeeds.
func reportSupport(ctx context.Context, client kubernetes.Interface, unsupported error) error {
	var value any // null removes an annotation (RFC 7386).
	if unsupported != nil {
		value = unsupported.Error()
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{unsupportedAnnotation: value}},
	})
	if err != nil {
		return err
	}
	pods := client.CoreV1().Pods(os.Getenv("POD_NAMESPACE"))
	write := func(ctx context.Context) (bool, error) {
		_, err := pods.Patch(ctx, os.Getenv("POD_NAME"), types.MergePatchType, patch, metav1.PatchOptions{})
		if err != nil {
			log.Printf("annotation of this pod: %v", err)
		}
		return err == nil, nil
	}
	return wait.PollUntilContextCancel(ctx, time.Second, true, write)
}

// serveHealth answers the kubelet's probes until the program ends.
func serveHealth(healthy func() bool) {
	http.HandleFunc("/healthz", func(response http.ResponseWriter, _ *http.Request) {
		if !healthy() {
			http.Error(response, "network policies are not enforced yet", http.StatusServiceUnavailable)
		}
	})
	server := http.Server{Addr: healthAddress, ReadHeaderTimeout: 5 * time.Second}
	log.Fatalf("network-policies: %v", server.ListenAndServe())
}

// queueIsRead returns whether a program reads the queue, as far as this can be seen: then the
// kernel lists its number first in a line (net/netfilter/nfnetlink_queue.c, seq_show).
func queueIsRead(file string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] == fmt.Sprint(queueNumber) {
			return true
		}
	}
	return false
}
