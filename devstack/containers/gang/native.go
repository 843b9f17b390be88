package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	schedulingv1alpha2 "k8s.io/api/scheduling/v1alpha2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	schedulinginformers "k8s.io/client-go/informers/scheduling/v1alpha2"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
)

// nativeGroups are the PodGroups of scheduling.k8s.io.
type nativeGroups struct {
	client    kubernetes.Interface
	podGroups schedulinginformers.PodGroupInformer
}

func newNativeGroups(client kubernetes.Interface, factory informers.SharedInformerFactory) groups {
	return &nativeGroups{client, factory.Scheduling().V1alpha2().PodGroups()}
}

func (n *nativeGroups) informer() cache.SharedIndexInformer { return n.podGroups.Informer() }

func (n *nativeGroups) reportsUnschedulable() bool { return true }

func (n *nativeGroups) find(namespace, name string) *group {
	found, err := n.podGroups.Lister().PodGroups(namespace).Get(name)
	if err != nil {
		return nil
	}
	return asGroup(found)
}

func (n *nativeGroups) create(ctx context.Context, set *jobset.JobSet) (*group, error) {
	wanted := &schedulingv1alpha2.PodGroup{
		ObjectMeta: groupMeta(set),
		Spec: schedulingv1alpha2.PodGroupSpec{
			SchedulingPolicy: schedulingv1alpha2.PodGroupSchedulingPolicy{
				Gang: &schedulingv1alpha2.GangSchedulingPolicy{MinCount: gangSize(set)},
			},
		},
	}
	created, err := n.client.SchedulingV1alpha2().PodGroups(set.Namespace).Create(
		ctx, wanted, metav1.CreateOptions{FieldManager: fieldManager})
	if err != nil {
		return nil, err
	}
	return asGroup(created), nil
}

func (n *nativeGroups) nameFor(pod *corev1.Pod) string {
	if pod.Spec.SchedulingGroup == nil || pod.Spec.SchedulingGroup.PodGroupName == nil {
		return ""
	}
	return *pod.Spec.SchedulingGroup.PodGroupName
}

func asGroup(found *schedulingv1alpha2.PodGroup) *group {
	gang := &group{
		namespace: found.Namespace,
		name:      found.Name,
		jobSet:    found.Labels[jobset.JobSetNameKey],
		created:   found.CreationTimestamp.Time,
		scheduled: metav1.ConditionUnknown,
	}
	if policy := found.Spec.SchedulingPolicy.Gang; policy != nil {
		gang.size = int(policy.MinCount)
	}
	condition := meta.FindStatusCondition(found.Status.Conditions, schedulingv1alpha2.PodGroupScheduled)
	if condition != nil {
		gang.scheduled = condition.Status
	}
	return gang
}
