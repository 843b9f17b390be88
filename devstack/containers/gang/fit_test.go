package main

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func node(name, cpu string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourcePods: resource.MustParse("110"),
		}},
	}
}

func pods(count int, cpu string) []*corev1.Pod {
	made := make([]*corev1.Pod, count)
	for i := range made {
		requested := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
		made[i] = &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pod-%d", i)},
			Spec: corev1.PodSpec{Containers: []corev1.Container{
				{Resources: corev1.ResourceRequirements{Requests: requested}}}},
		}
	}
	return made
}

func TestTerminatedPodsFreeTheirResources(t *testing.T) {
	running := pods(2, "1")
	running[0].Spec.NodeName = "one"
	running[1].Spec.NodeName = "one"
	running[1].Status.Phase = corev1.PodSucceeded
	fitting, reason := fit(pods(6, "1"), freeResources([]*corev1.Node{node("one", "4")}, running))
	if fitting != 3 || reason != "too little cpu on 1 of 1 nodes" {
		t.Errorf("fitting %d: %s", fitting, reason)
	}
}

func TestLargePodsAreAssignedFirst(t *testing.T) {
	gang := append(pods(2, "1"), pods(1, "2")...)
	fitting, _ := fit(gang, freeResources([]*corev1.Node{node("one", "2"), node("two", "2")}, nil))
	if fitting != 3 {
		t.Errorf("fitting %d of 3", fitting)
	}
}

func TestTaintedAndCordonedNodesAreReasons(t *testing.T) {
	tainted, cordoned := node("one", "4"), node("two", "4")
	tainted.Spec.Taints = []corev1.Taint{{Key: "gpu", Value: "yes", Effect: corev1.TaintEffectNoSchedule}}
	cordoned.Spec.Unschedulable = true
	fitting, reason := fit(pods(1, "1"), freeResources([]*corev1.Node{tainted, cordoned}, nil))
	want := "cordoned on 1 of 2 nodes, taint gpu=yes:NoSchedule on 1 of 2 nodes"
	if fitting != 0 || reason != want {
		t.Errorf("fitting %d: %s", fitting, reason)
	}
}

func TestANodeWithOtherLabelsDoesNotFit(t *testing.T) {
	gang := pods(1, "1")
	gang[0].Spec.NodeSelector = map[string]string{"disk": "fast"}
	fitting, reason := fit(gang, freeResources([]*corev1.Node{node("one", "4")}, nil))
	if fitting != 0 || reason != "other labels than requested on 1 of 1 nodes" {
		t.Errorf("fitting %d: %s", fitting, reason)
	}
}

func TestNeedsAreGroupedBySize(t *testing.T) {
	if text := describeNeeds(append(pods(5, "1"), pods(1, "2")...)); text != "1 pod x 2 cpu + 5 pods x 1 cpu" {
		t.Errorf("the needs read %q", text)
	}
	if text := describeNeeds(pods(3, "0")); text != "3 pods x 0 cpu" {
		t.Errorf("the needs read %q", text)
	}
}

func TestPodsThatAreNotStartedAgainEndByThemselves(t *testing.T) {
	for _, each := range []struct {
		policy corev1.RestartPolicy
		labels map[string]string
		want   bool
	}{
		{corev1.RestartPolicyAlways, nil, false},
		{"", nil, false},
		{corev1.RestartPolicyNever, nil, true},
		{corev1.RestartPolicyOnFailure, nil, true},
		{corev1.RestartPolicyAlways, map[string]string{"batch.kubernetes.io/job-name": "t"}, true},
	} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: each.policy}}
		pod.Labels = each.labels
		if stripped, err := stripFields(pod); err != nil || endsByItself(stripped.(*corev1.Pod)) != each.want {
			t.Errorf("%q with labels %v: not %v (%v)", each.policy, each.labels, each.want, err)
		}
	}
}
