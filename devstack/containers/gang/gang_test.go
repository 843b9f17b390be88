package main

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
)

func jobs(name string, replicas int32, change func(*jobset.ReplicatedJob)) jobset.ReplicatedJob {
	job := jobset.ReplicatedJob{
		Name:     name,
		Replicas: replicas,
		Template: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{BackoffLimit: ptr.To[int32](0)}},
	}
	job.Template.Spec.Template.Labels = map[string]string{markLabel: "true"}
	if change != nil {
		change(&job)
	}
	return job
}

func setOf(jobs ...jobset.ReplicatedJob) *jobset.JobSet {
	return &jobset.JobSet{
		ObjectMeta: metav1.ObjectMeta{Name: "js", UID: "0123abcd-89ef-0000-0000-000000000000"},
		Spec:       jobset.JobSetSpec{ReplicatedJobs: jobs},
	}
}

func TestAGangIsNamedAfterItsJobSetAndItsStart(t *testing.T) {
	set := setOf(jobs("control", 1, nil))
	set.Status.Restarts = 2
	if name := gangOf(set); name != "js-0123abcd-2" {
		t.Errorf("the gang is called %q", name)
	}
}

func TestAGangHasAllPodsOfAllJobs(t *testing.T) {
	set := setOf(jobs("control", 1, nil), jobs("worker", 3, func(job *jobset.ReplicatedJob) {
		job.Template.Spec.Parallelism = ptr.To[int32](4)
		job.Template.Spec.Completions = ptr.To[int32](2)
	}))
	if size := gangSize(set); size != 7 {
		t.Errorf("the gang has %d pods", size)
	}
}

func TestOnlyJobSetsWhosePodsAllCarryTheMarkAreGangs(t *testing.T) {
	unmarked := func(job *jobset.ReplicatedJob) { job.Template.Spec.Template.Labels = nil }
	for _, test := range []struct {
		set  *jobset.JobSet
		want bool
	}{
		{setOf(jobs("control", 1, nil), jobs("worker", 3, nil)), true},
		{setOf(jobs("control", 1, nil), jobs("worker", 3, unmarked)), false},
		{setOf(), false},
	} {
		if got := isMarked(test.set); got != test.want {
			t.Errorf("%v is marked: %v", test.set.Spec.ReplicatedJobs, got)
		}
	}
}

func TestMetaflowsJobSetsAndThoseThatAskWantToBeGangs(t *testing.T) {
	for _, test := range []struct {
		labels map[string]string
		want   bool
	}{
		{nil, false},
		{map[string]string{partOfLabel: "metaflow"}, true},
		{map[string]string{partOfLabel: "another"}, false},
		{map[string]string{markLabel: "true"}, true},
		{map[string]string{markLabel: "false", partOfLabel: "metaflow"}, false},
	} {
		set := setOf()
		set.Labels = test.labels
		if got := wantsGang(set); got != test.want {
			t.Errorf("%v wants a gang: %v", test.labels, got)
		}
	}
}

func TestSuspendedFinishedAndForeignJobSetsAreLeftAlone(t *testing.T) {
	for name, change := range map[string]func(*jobset.JobSet){
		"suspended": func(set *jobset.JobSet) { set.Spec.Suspend = ptr.To(true) },
		"foreign":   func(set *jobset.JobSet) { set.Spec.ManagedBy = ptr.To("example.com/other") },
		"deleted":   func(set *jobset.JobSet) { set.DeletionTimestamp = ptr.To(metav1.Now()) },
		"failed": func(set *jobset.JobSet) {
			set.Status.Conditions = []metav1.Condition{
				{Type: string(jobset.JobSetFailed), Status: metav1.ConditionTrue}}
		},
	} {
		set := setOf(jobs("control", 1, nil))
		if change(set); isActive(set) {
			t.Errorf("a %s JobSet counts as active", name)
		}
	}
}

func TestWhatCannotBeAGangIsToldWhy(t *testing.T) {
	for want, change := range map[string]func(*jobset.ReplicatedJob){
		"dependsOn": func(job *jobset.ReplicatedJob) {
			job.DependsOn = []jobset.DependsOn{{Name: "control", Status: jobset.DependencyReady}}
		},
		"backoffLimit": func(job *jobset.ReplicatedJob) { job.Template.Spec.BackoffLimit = nil },
		"completions": func(job *jobset.ReplicatedJob) {
			job.Template.Spec.Completions = ptr.To[int32](5)
		},
		"before gang scheduling was enabled": nil,
	} {
		if why := whyNoGang(setOf(jobs("worker", 1, change))); !strings.Contains(why, want) {
			t.Errorf("%q says nothing of %s", why, want)
		}
	}
}

func TestAVerdictThatComesBeforeItsPodsIsNotToldYet(t *testing.T) {
	queue := workqueue.NewTypedRateLimitingQueue(
		workqueue.DefaultTypedControllerRateLimiter[cache.ObjectName]())
	defer queue.ShutDown()
	c := &controller{queue: queue}
	gang := &group{size: 4, created: time.Now(), scheduled: metav1.ConditionFalse}
	reason, message, err := c.whyWaiting(gang, nil)
	if reason != "" || message != "" || err != nil {
		t.Errorf("told %q: %q, %v", reason, message, err)
	}
}
