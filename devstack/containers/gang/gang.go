package main

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
)

const (
	// markLabel is set on a JobSet and on its pod templates by the admission policy;
	// users set it on a JobSet to request a gang.
	markLabel = "devstack.dev/gang"

	partOfLabel  = "app.kubernetes.io/part-of"
	partMetaflow = "metaflow"

	// attemptLabel is set by the JobSet controller: how often the whole JobSet was
	// restarted before this pod was created.
	attemptLabel = "jobset.sigs.k8s.io/restart-attempt"
)

// gangName returns the name of the PodGroup of one attempt of a JobSet. The
// admission policy of pods builds the same name from their labels. A restarted
// JobSet is a new gang, and so is another JobSet of the same name.
func gangName(name, uid, attempt string) string {
	first, _, _ := strings.Cut(uid, "-")
	return fmt.Sprintf("%s-%s-%s", name, first, attempt)
}

func gangOf(set *jobset.JobSet) string {
	return gangName(set.Name, string(set.UID), fmt.Sprint(set.Status.Restarts))
}

// gangSize returns the number of pods that the JobSet runs at the same time.
func gangSize(set *jobset.JobSet) int32 {
	var size int32
	for _, replicated := range set.Spec.ReplicatedJobs {
		size += replicated.Replicas * podsAtOnce(replicated)
	}
	return size
}

func podsAtOnce(replicated jobset.ReplicatedJob) int32 {
	job := replicated.Template.Spec
	pods := int32(1)
	if job.Parallelism != nil {
		pods = *job.Parallelism
	}
	if job.Completions != nil {
		pods = min(pods, *job.Completions)
	}
	return pods
}

// wantsGang returns true if the JobSet is one of Metaflow's or requests a gang by its label.
func wantsGang(set *jobset.JobSet) bool {
	if requested, found := set.Labels[markLabel]; found {
		return requested == "true"
	}
	return set.Labels[partOfLabel] == partMetaflow
}

// isMarked returns true if the admission policy has marked the JobSet's pods. Only
// then is a PodGroup created; a pod that is marked and has none stays pending.
func isMarked(set *jobset.JobSet) bool {
	for _, replicated := range set.Spec.ReplicatedJobs {
		if replicated.Template.Spec.Template.Labels[markLabel] != "true" {
			return false
		}
	}
	return len(set.Spec.ReplicatedJobs) > 0
}

// isActive returns true if the JobSet has pods, or will have some.
func isActive(set *jobset.JobSet) bool {
	return set.DeletionTimestamp == nil && !isFinished(set) && !isSuspended(set) && isOurs(set)
}

func isFinished(set *jobset.JobSet) bool {
	return meta.IsStatusConditionTrue(set.Status.Conditions, string(jobset.JobSetCompleted)) ||
		meta.IsStatusConditionTrue(set.Status.Conditions, string(jobset.JobSetFailed))
}

func isSuspended(set *jobset.JobSet) bool {
	return set.Spec.Suspend != nil && *set.Spec.Suspend
}

// isOurs returns true if this cluster's JobSet controller manages the JobSet.
func isOurs(set *jobset.JobSet) bool {
	return set.Spec.ManagedBy == nil || *set.Spec.ManagedBy == jobset.JobSetControllerName
}

// whyNoGang returns why the admission policy did not mark a JobSet that wants a gang.
// It checks what the policy checks.
func whyNoGang(set *jobset.JobSet) string {
	for _, replicated := range set.Spec.ReplicatedJobs {
		job := replicated.Template.Spec
		switch {
		case len(replicated.DependsOn) > 0:
			return fmt.Sprintf("job %q starts after another (dependsOn)", replicated.Name)
		case job.BackoffLimit == nil || *job.BackoffLimit > 0:
			return fmt.Sprintf("job %q replaces failed pods one by one; set its backoffLimit to 0"+
				" and let the JobSet's failurePolicy restart the whole", replicated.Name)
		case job.Completions != nil && *job.Completions > podsAtOnce(replicated):
			return fmt.Sprintf("job %q runs its pods one after another"+
				" (completions above parallelism)", replicated.Name)
		}
	}
	return "it was created before gang scheduling was enabled"
}
