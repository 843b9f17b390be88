package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
)

const pluginLabel = "scheduling.x-k8s.io/pod-group"

var pluginResource = schema.GroupVersionResource{
	Group: "scheduling.x-k8s.io", Version: "v1alpha1", Resource: "podgroups",
}

// pluginGroups are the PodGroups of the coscheduling plug-in. Pods name theirs by a
// label; its status does not report that a gang does not fit.
type pluginGroups struct {
	client    dynamic.Interface
	podGroups informers.GenericInformer
}

func newPluginGroups(client dynamic.Interface, factory dynamicinformer.DynamicSharedInformerFactory) groups {
	return &pluginGroups{client, factory.ForResource(pluginResource)}
}

func (p *pluginGroups) informer() cache.SharedIndexInformer { return p.podGroups.Informer() }

func (p *pluginGroups) reportsUnschedulable() bool { return false }

func (p *pluginGroups) find(namespace, name string) *group {
	found, err := p.podGroups.Lister().ByNamespace(namespace).Get(name)
	if err != nil {
		return nil
	}
	return asPluginGroup(found)
}

func (p *pluginGroups) create(ctx context.Context, set *jobset.JobSet) (*group, error) {
	metadata := groupMeta(set)
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&metadata)
	if err != nil {
		return nil, err
	}
	wanted := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": pluginResource.GroupVersion().String(),
		"kind":       "PodGroup",
		"metadata":   fields,
		"spec":       map[string]any{"minMember": int64(gangSize(set))},
	}}
	created, err := p.client.Resource(pluginResource).Namespace(set.Namespace).Create(
		ctx, wanted, metav1.CreateOptions{FieldManager: fieldManager})
	if err != nil {
		return nil, err
	}
	return asPluginGroup(created), nil
}

func (p *pluginGroups) nameFor(pod *corev1.Pod) string { return pod.Labels[pluginLabel] }

func asPluginGroup(object runtime.Object) *group {
	found, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	size, _, _ := unstructured.NestedInt64(found.Object, "spec", "minMember")
	phase, _, _ := unstructured.NestedString(found.Object, "status", "phase")
	gang := &group{
		namespace: found.GetNamespace(),
		name:      found.GetName(),
		jobSet:    found.GetLabels()[jobset.JobSetNameKey],
		size:      int(size),
		created:   found.GetCreationTimestamp().Time,
		scheduled: metav1.ConditionUnknown,
	}
	if phase == "Scheduled" || phase == "Running" {
		gang.scheduled = metav1.ConditionTrue
	}
	return gang
}
