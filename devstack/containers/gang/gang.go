package main

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
)

const (
	// markLabel is put on a JobSet and on its pod templates by the admission
	// policy, and asked for by users who want a gang.
	markLabel = "devstack.dev/gang"

	partOfLabel  = "app.kubernetes.io/part-of"
	partMetaflow = "metaflow"

	// attemptLabel is the JobSet controller's: how often the whole JobSet was
	// restarted before this pod was made.
	attemptLabel = "jobset.sigs.k8s.io/restart-attempt"
)

// gangName returns the name of the PodGroup of one start of a JobSet. The
// admission policy of pods builds the same name from their labels. A restarted
// JobSet is a new gang, and so is another JobSet under an old name.
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

// wantsGang tells whether the JobSet is one of Metaflow's or asks by its label.
func wantsGang(set *jobset.JobSet) bool {
	if asked, found := set.Labels[markLabel]; found {
		return asked == "true"
	}
	return set.Labels[partOfLabel] == partMetaflow
}

// isMarked tells whether the policy let the JobSet's pods join a group. Only
// then is there one made: pods that wait for a group that nobody makes would
// wait for ever.
func isMarked(set *jobset.JobSet) bool {
	for _, replicated := range set.Spec.ReplicatedJobs {
		if replicated.Template.Spec.Template.Labels[markLabel] != "true" {
			return false
		}
	}
	return len(set.Spec.ReplicatedJobs) > 0
}

// isActive tells whether the JobSet has, or is about to have, pods.
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

// isOurs tells whether this cluster's JobSet controller runs the JobSet.
func isOurs(set *jobset.JobSet) bool {
	return set.Spec.ManagedBy == nil || *set.Spec.ManagedBy == jobset.JobSetControllerName
}

// whyNoGang returns why the policy did not make a gang of a JobSet that wants to
// be one. It looks for what the policy looks for.
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
	return "it was created before gang scheduling was on"
}
