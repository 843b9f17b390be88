package main

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
)

const pluginLabel = "scheduling.x-k8s.io/pod-group"

// pluginAPI are the PodGroups of the coscheduling plug-in. Pods name theirs by a label; its
// status does not report that a gang does not fit.
var pluginAPI = groupAPI{
	resource: schema.GroupVersionResource{
		Group: "scheduling.x-k8s.io", Version: "v1alpha1", Resource: "podgroups",
	},
	spec: func(set *jobset.JobSet) map[string]any {
		return map[string]any{"minMember": int64(gangSize(set))}
	},
	size: []string{"spec", "minMember"},
	scheduled: func(object *unstructured.Unstructured) metav1.ConditionStatus {
		phase, _, _ := unstructured.NestedString(object.Object, "status", "phase")
		if phase == "Scheduled" || phase == "Running" {
			return metav1.ConditionTrue
		}
		return metav1.ConditionUnknown
	},
	nameFor: func(pod *corev1.Pod) string { return pod.Labels[pluginLabel] },
}
