package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	schedulingv1alpha2 "k8s.io/api/scheduling/v1alpha2"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
)

var jobSetKind = jobset.SchemeGroupVersion.WithKind("JobSet")

// newGroup returns the PodGroup that the scheduler needs for this start of the
// JobSet; it goes when the JobSet goes.
func newGroup(set *jobset.JobSet) *schedulingv1alpha2.PodGroup {
	return &schedulingv1alpha2.PodGroup{
		ObjectMeta: metav1.ObjectMeta{
			Name:      gangOf(set),
			Namespace: set.Namespace,
			Labels: map[string]string{
				"app.kubernetes.io/managed-by": fieldManager,
				jobset.JobSetNameKey:           set.Name,
			},
			OwnerReferences: []metav1.OwnerReference{ownedBy(set)},
		},
		Spec: schedulingv1alpha2.PodGroupSpec{
			SchedulingPolicy: schedulingv1alpha2.PodGroupSchedulingPolicy{
				Gang: &schedulingv1alpha2.GangSchedulingPolicy{MinCount: gangSize(set)},
			},
		},
	}
}

// ownedBy does not block the JobSet's deletion: that takes rights on its
// finalizers which the controller has no other use for.
func ownedBy(set *jobset.JobSet) metav1.OwnerReference {
	reference := *metav1.NewControllerRef(set, jobSetKind)
	reference.BlockOwnerDeletion = nil
	return reference
}

// ensureGroup returns the JobSet's PodGroup, made now if there is none. It
// returns nil where the cache has yet to show what another replica made.
func (c *controller) ensureGroup(
	ctx context.Context, set *jobset.JobSet,
) (*schedulingv1alpha2.PodGroup, error) {
	wanted := newGroup(set)
	found, err := c.groupLister.PodGroups(set.Namespace).Get(wanted.Name)
	if err == nil || !apierrors.IsNotFound(err) {
		return found, err
	}
	groups := c.core.SchedulingV1alpha2().PodGroups(set.Namespace)
	made, err := groups.Create(ctx, wanted, metav1.CreateOptions{FieldManager: fieldManager})
	if apierrors.IsAlreadyExists(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("create PodGroup %s: %w", wanted.Name, err)
	}
	return made, nil
}

func groupKey(namespace, name string) string {
	return namespace + "/" + name
}

func groupsOfPod(object any) ([]string, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok || pod.Spec.SchedulingGroup == nil || pod.Spec.SchedulingGroup.PodGroupName == nil {
		return nil, nil
	}
	return []string{groupKey(pod.Namespace, *pod.Spec.SchedulingGroup.PodGroupName)}, nil
}

func (c *controller) podsOf(group *schedulingv1alpha2.PodGroup) ([]*corev1.Pod, error) {
	found, err := c.pods.GetIndexer().ByIndex(groupIndex, groupKey(group.Namespace, group.Name))
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

// slim drops from an object what the controller never reads, which is most of
// it: a cluster's pods must fit into a few megabytes.
func slim(object any) (any, error) {
	switch kept := object.(type) {
	case *corev1.Pod:
		slimMetadata(&kept.ObjectMeta)
		slimPod(&kept.Spec)
		kept.Status = corev1.PodStatus{Phase: kept.Status.Phase}
	case *corev1.Node:
		slimMetadata(&kept.ObjectMeta)
		kept.Status = corev1.NodeStatus{Allocatable: kept.Status.Allocatable}
	case *jobset.JobSet:
		slimMetadata(&kept.ObjectMeta)
		for i := range kept.Spec.ReplicatedJobs {
			kept.Spec.ReplicatedJobs[i].Template.Spec.Template.Spec = corev1.PodSpec{}
		}
	case *schedulingv1alpha2.PodGroup:
		slimMetadata(&kept.ObjectMeta)
	case cache.DeletedFinalStateUnknown:
		return object, nil
	}
	return object, nil
}

func slimMetadata(metadata *metav1.ObjectMeta) {
	metadata.ManagedFields, metadata.Annotations = nil, nil
}

func slimPod(spec *corev1.PodSpec) {
	spec.Volumes = nil
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i, container := range containers {
			containers[i] = corev1.Container{
				Name: container.Name, Resources: container.Resources, RestartPolicy: container.RestartPolicy,
			}
		}
	}
}

func sameRoom(before, after *corev1.Node) bool {
	return before.Spec.Unschedulable == after.Spec.Unschedulable &&
		equality.Semantic.DeepEqual(before.Spec.Taints, after.Spec.Taints) &&
		equality.Semantic.DeepEqual(before.Labels, after.Labels) &&
		equality.Semantic.DeepEqual(before.Status.Allocatable, after.Status.Allocatable)
}
