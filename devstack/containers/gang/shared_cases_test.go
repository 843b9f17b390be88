package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// sharedCases also test the computation of `devstack why`, in tests/unit/test_kube_capacity.py.
const sharedCases = "../../../tests/conformance/pod-fit.json"

type fitCase struct {
	Name    string
	Nodes   []*corev1.Node
	Running []*corev1.Pod
	Pods    []*corev1.Pod
	Fit     int
	Unfit   string
}

func TestPodsFitAsDevstackWhyComputes(t *testing.T) {
	text, err := os.ReadFile(sharedCases)
	if err != nil {
		t.Fatal(err)
	}
	var cases []fitCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, each := range cases {
		t.Run(each.Name, func(t *testing.T) {
			for i, node := range each.Nodes {
				if node.Name == "" {
					node.Name = fmt.Sprintf("node-%d", i)
				}
			}
			fitting, reason := fit(each.Pods, freeResources(each.Nodes, each.Running))
			if fitting != each.Fit || !strings.Contains(reason, each.Unfit) {
				t.Errorf("%d fit, not %d: %q", fitting, each.Fit, reason)
			}
		})
	}
}
