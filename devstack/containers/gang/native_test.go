package main

import (
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
)

func serving(versions ...string) *fake.FakeDiscovery {
	server := &fake.FakeDiscovery{Fake: &clienttesting.Fake{}}
	for _, version := range versions {
		server.Resources = append(server.Resources, &metav1.APIResourceList{
			GroupVersion: version, APIResources: []metav1.APIResource{{Name: "podgroups"}},
		})
	}
	return server
}

func TestTheNewestPodGroupsThatTheClusterServesAreUsed(t *testing.T) {
	const alpha, beta = "scheduling.k8s.io/v1alpha2", "scheduling.k8s.io/v1beta1"
	for _, test := range []struct {
		served []string
		want   string
	}{
		{[]string{alpha}, alpha},
		{[]string{beta}, beta},
		{[]string{alpha, beta}, beta},
	} {
		found, err := findGroupAPI(serving(test.served...))
		if err != nil || found.resource.GroupVersion().String() != test.want {
			t.Errorf("%v: %v, %v", test.served, found.resource, err)
		}
	}
}

func TestAClusterWithoutPodGroupsIsAnError(t *testing.T) {
	if _, err := findGroupAPI(serving("scheduling.k8s.io/v1")); err == nil {
		t.Error("an API was found")
	}
}

func TestAnAPIServerThatDoesNotRespondIsNotAClusterWithoutPodGroups(t *testing.T) {
	server, broken := serving(), errors.New("connection refused")
	server.PrependReactor("*", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, broken
	})
	if _, err := findGroupAPI(server); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestABetaGroupHasThePriorityClassOfItsPods(t *testing.T) {
	set := setOf(jobs("control", 1, func(job *jobset.ReplicatedJob) {
		job.Template.Spec.Template.Spec.PriorityClassName = "high"
		job.Template.Spec.Completions = ptr.To[int32](1)
	}))
	beta, alpha := nativeAPIs[0].spec(set), nativeAPIs[1].spec(set)
	if beta["priorityClassName"] != "high" {
		t.Errorf("the beta group is %v", beta)
	}
	if _, found := alpha["priorityClassName"]; found {
		t.Errorf("the alpha group is %v", alpha)
	}
}

func TestTheSchedulersDecisionIsReadFromTheConditionOfTheVersion(t *testing.T) {
	for index, kind := range []string{"PodGroupInitiallyScheduled", "PodGroupScheduled"} {
		group := &unstructured.Unstructured{Object: map[string]any{
			"status": map[string]any{"conditions": []any{
				map[string]any{"type": "Other", "status": "True"},
				map[string]any{"type": kind, "status": "False"},
			}},
		}}
		if got := nativeAPIs[index].scheduled(group); got != metav1.ConditionFalse {
			t.Errorf("%s: %s", kind, got)
		}
		if got := nativeAPIs[1-index].scheduled(group); got != metav1.ConditionUnknown {
			t.Errorf("without %s: %s", kind, got)
		}
	}
}
