package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
)

// groupAPI is an API of PodGroups that a scheduler reads. No version of client-go has the
// types of all of them.
type groupAPI struct {
	resource schema.GroupVersionResource
	// spec returns the spec of the PodGroup of a JobSet.
	spec func(set *jobset.JobSet) map[string]any
	// size is the path of the number of pods.
	size []string
	// scheduled returns the scheduler's decision; see the field of group.
	scheduled func(object *unstructured.Unstructured) metav1.ConditionStatus
	// nameFor returns the name of the pod's group, or an empty string.
	nameFor func(pod *corev1.Pod) string
	// reportsUnschedulable is true if the scheduler reports that a gang does not fit.
	reportsUnschedulable bool
}

// findGroupAPI returns the API of Kubernetes' own PodGroups that the cluster serves.
func findGroupAPI(server discovery.ServerResourcesInterface) (groupAPI, error) {
	for _, api := range nativeAPIs {
		version := api.resource.GroupVersion().String()
		served, err := server.ServerResourcesForGroupVersion(version)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return groupAPI{}, fmt.Errorf("list the resources of %s: %w", version, err)
		}
		for _, resource := range served.APIResources {
			if resource.Name == api.resource.Resource {
				return api, nil
			}
		}
	}
	return groupAPI{}, fmt.Errorf("the cluster serves no PodGroup of %s", nativeAPIs[0].resource.Group)
}

// groups reads and creates the PodGroups of one API.
type groups struct {
	groupAPI
	client   dynamic.Interface
	informer informers.GenericInformer
}

func newGroups(
	api groupAPI, client dynamic.Interface, factory dynamicinformer.DynamicSharedInformerFactory,
) *groups {
	return &groups{api, client, factory.ForResource(api.resource)}
}

func (g *groups) shared() cache.SharedIndexInformer { return g.informer.Informer() }

// find returns a group, or nil.
func (g *groups) find(namespace, name string) *group {
	found, err := g.informer.Lister().ByNamespace(namespace).Get(name)
	if err != nil {
		return nil
	}
	return g.asGroup(found)
}

// create creates the group of the current attempt of the JobSet.
func (g *groups) create(ctx context.Context, set *jobset.JobSet) (*group, error) {
	metadata := groupMeta(set)
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&metadata)
	if err != nil {
		return nil, err
	}
	wanted := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": g.resource.GroupVersion().String(),
		"kind":       "PodGroup",
		"metadata":   fields,
		"spec":       g.spec(set),
	}}
	created, err := g.client.Resource(g.resource).Namespace(set.Namespace).Create(
		ctx, wanted, metav1.CreateOptions{FieldManager: fieldManager})
	if err != nil {
		return nil, err
	}
	return g.asGroup(created), nil
}

func (g *groups) asGroup(object runtime.Object) *group {
	found, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	size, _, _ := unstructured.NestedInt64(found.Object, g.size...)
	return &group{
		namespace: found.GetNamespace(),
		name:      found.GetName(),
		jobSet:    found.GetLabels()[jobset.JobSetNameKey],
		size:      int(size),
		created:   found.GetCreationTimestamp().Time,
		scheduled: g.scheduled(found),
	}
}
