package main

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
)

// nativeAPIs are the PodGroups of scheduling.k8s.io, the preferred version first: beta since
// Kubernetes 1.37, alpha in 1.36.
var nativeAPIs = []groupAPI{
	nativeAPI("v1beta1", "PodGroupInitiallyScheduled", prioritizedSpec),
	nativeAPI("v1alpha2", "PodGroupScheduled", gangSpec),
}

func nativeAPI(
	version, condition string, spec func(set *jobset.JobSet) map[string]any,
) groupAPI {
	return groupAPI{
		resource: schema.GroupVersionResource{
			Group: "scheduling.k8s.io", Version: version, Resource: "podgroups",
		},
		spec: spec,
		size: []string{"spec", "schedulingPolicy", "gang", "minCount"},
		scheduled: func(object *unstructured.Unstructured) metav1.ConditionStatus {
			return conditionOf(object, condition)
		},
		nameFor:              groupNameFor,
		reportsUnschedulable: true,
	}
}

func gangSpec(set *jobset.JobSet) map[string]any {
	gang := map[string]any{"minCount": int64(gangSize(set))}
	return map[string]any{"schedulingPolicy": map[string]any{"gang": gang}}
}

// prioritizedSpec also names the pods' priority class: from v1beta1 on, the scheduler orders
// gangs by the priority of the PodGroup instead of that of the pods.
func prioritizedSpec(set *jobset.JobSet) map[string]any {
	spec := gangSpec(set)
	if class := priorityClassOf(set); class != "" {
		spec["priorityClassName"] = class
	}
	return spec
}

// priorityClassOf returns the priority class of the JobSet's first pods: a gang has one.
func priorityClassOf(set *jobset.JobSet) string {
	for _, replicated := range set.Spec.ReplicatedJobs {
		return replicated.Template.Spec.Template.Spec.PriorityClassName
	}
	return ""
}

func groupNameFor(pod *corev1.Pod) string {
	if pod.Spec.SchedulingGroup == nil || pod.Spec.SchedulingGroup.PodGroupName == nil {
		return ""
	}
	return *pod.Spec.SchedulingGroup.PodGroupName
}

func conditionOf(object *unstructured.Unstructured, kind string) metav1.ConditionStatus {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, each := range conditions {
		condition, ok := each.(map[string]any)
		if ok && condition["type"] == kind {
			status, _, _ := unstructured.NestedString(condition, "status")
			return metav1.ConditionStatus(status)
		}
	}
	return metav1.ConditionUnknown
}
