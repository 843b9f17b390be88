package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/cache"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
)

var jobSetKind = jobset.SchemeGroupVersion.WithKind("JobSet")

// group is a PodGroup, of any API.
type group struct {
	namespace, name, jobSet string
	size                    int
	created                 time.Time
	// scheduled is True once the scheduler has admitted the gang, False if it found
	// too few free resources, and Unknown before it has decided.
	scheduled metav1.ConditionStatus
}

func groupMeta(set *jobset.JobSet) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:      gangOf(set),
		Namespace: set.Namespace,
		Labels: map[string]string{
			"app.kubernetes.io/managed-by": fieldManager,
			jobset.JobSetNameKey:           set.Name,
		},
		OwnerReferences: []metav1.OwnerReference{ownedBy(set)},
	}
}

// ownedBy does not block the JobSet's deletion: that requires rights on its
// finalizers, which the controller does not need otherwise.
func ownedBy(set *jobset.JobSet) metav1.OwnerReference {
	reference := *metav1.NewControllerRef(set, jobSetKind)
	reference.BlockOwnerDeletion = nil
	return reference
}

// ensureGroup returns the JobSet's group, created now if it does not exist. It returns
// nil if another replica created it and the cache does not show it yet.
func (c *controller) ensureGroup(ctx context.Context, set *jobset.JobSet) (*group, error) {
	if found := c.groups.find(set.Namespace, gangOf(set)); found != nil {
		return found, nil
	}
	created, err := c.groups.create(ctx, set)
	if apierrors.IsAlreadyExists(err) {
		return nil, nil
	}
	return created, err
}

func groupKey(namespace, name string) string {
	return namespace + "/" + name
}

func (c *controller) groupKeysOfPod(object any) ([]string, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok || c.groups.nameFor(pod) == "" {
		return nil, nil
	}
	return []string{groupKey(pod.Namespace, c.groups.nameFor(pod))}, nil
}

func (c *controller) podsOf(gang *group) ([]*corev1.Pod, error) {
	found, err := c.pods.GetIndexer().ByIndex(groupIndex, groupKey(gang.namespace, gang.name))
	return asPods(found), err
}

func asPods(objects []any) []*corev1.Pod {
	pods := make([]*corev1.Pod, 0, len(objects))
	for _, object := range objects {
		if pod, ok := object.(*corev1.Pod); ok {
			pods = append(pods, pod)
		}
	}
	return pods
}

// stripFields removes the fields that the controller never reads, which are most of
// them: a cluster's pods must fit into a few megabytes.
func stripFields(object any) (any, error) {
	switch kept := object.(type) {
	case *corev1.Pod:
		stripMetadata(&kept.ObjectMeta)
		stripPod(&kept.Spec)
		kept.Status = corev1.PodStatus{Phase: kept.Status.Phase}
	case *corev1.Node:
		stripMetadata(&kept.ObjectMeta)
		kept.Status = corev1.NodeStatus{Allocatable: kept.Status.Allocatable}
	case *jobset.JobSet:
		stripMetadata(&kept.ObjectMeta)
		for i := range kept.Spec.ReplicatedJobs {
			pod := &kept.Spec.ReplicatedJobs[i].Template.Spec.Template.Spec
			*pod = corev1.PodSpec{PriorityClassName: pod.PriorityClassName}
		}
	case *unstructured.Unstructured:
		kept.SetManagedFields(nil)
		kept.SetAnnotations(nil)
	case cache.DeletedFinalStateUnknown:
		return object, nil
	}
	return object, nil
}

func stripMetadata(metadata *metav1.ObjectMeta) {
	metadata.ManagedFields, metadata.Annotations = nil, nil
}

func stripPod(spec *corev1.PodSpec) {
	spec.Volumes = nil
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i, container := range containers {
			containers[i] = corev1.Container{
				Name: container.Name, Resources: container.Resources, RestartPolicy: container.RestartPolicy,
			}
		}
	}
}

func sameCapacity(before, after *corev1.Node) bool {
	return before.Spec.Unschedulable == after.Spec.Unschedulable &&
		equality.Semantic.DeepEqual(before.Spec.Taints, after.Spec.Taints) &&
		equality.Semantic.DeepEqual(before.Labels, after.Labels) &&
		equality.Semantic.DeepEqual(before.Status.Allocatable, after.Status.Allocatable)
}
