package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/ptr"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
	jobsetscheme "sigs.k8s.io/jobset/client-go/clientset/versioned/scheme"
)

// The condition on the JobSet, and its reasons.
const (
	conditionType = "GangScheduled"

	reasonScheduled    = "Scheduled"
	reasonInsufficient = "InsufficientResources"
	reasonTooLarge     = "TooLarge"
	reasonPodsMissing  = "PodsMissing"
	reasonUndecided    = "NoSchedulingDecision"
	reasonNotAGang     = "NotAGang"
)

// gracePeriod is how long pods may take to appear, and the scheduler to decide,
// before a report is made.
const gracePeriod = 5 * time.Second

func newRecorder(core kubernetes.Interface) record.EventRecorder {
	_ = jobsetscheme.AddToScheme(scheme.Scheme)
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(
		&typedcore.EventSinkImpl{Interface: core.CoreV1().Events("")})
	return broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: fieldManager})
}

// reportGang reports on the JobSet that its gang is scheduled, or why it waits.
func (c *controller) reportGang(
	ctx context.Context, set *jobset.JobSet, gang *group,
) error {
	key := cache.MetaObjectToName(set)
	pods, err := c.podsOf(gang)
	if err != nil {
		return err
	}
	if countBound(pods) >= gang.size {
		c.waiting.Delete(key)
		return c.setCondition(ctx, set, metav1.ConditionTrue, reasonScheduled,
			fmt.Sprintf("all %d pods are bound to nodes", gang.size))
	}
	if gang.scheduled == metav1.ConditionTrue {
		// Admitted: its pods are being bound, or one of them was lost later.
		c.waiting.Delete(key)
		return nil
	}
	c.waiting.Store(key, nil)
	reason, message, err := c.whyWaiting(gang, pods)
	if err != nil || reason == "" {
		return err
	}
	return c.setCondition(ctx, set, metav1.ConditionFalse, reason, message)
}

// whyWaiting returns an empty reason within the grace period.
func (c *controller) whyWaiting(
	gang *group, pods []*corev1.Pod,
) (reason, message string, err error) {
	// The group's condition may arrive before its pods.
	if gang.scheduled == metav1.ConditionFalse && len(pods) >= gang.size {
		return c.whyUnfit(pods)
	}
	if early := gracePeriod - time.Since(gang.created); early > 0 {
		c.queue.AddAfter(cache.ObjectName{Namespace: gang.namespace, Name: gang.jobSet}, early)
		return "", "", nil
	}
	if len(pods) < gang.size {
		return reasonPodsMissing, fmt.Sprintf("%d of %d pods exist; none starts before all exist",
			len(pods), gang.size), nil
	}
	if !c.groups.reportsUnschedulable {
		return c.whyUnfit(pods)
	}
	return reasonUndecided, fmt.Sprintf("all %d pods exist, but the scheduler has not decided;"+
		" does it run with gang scheduling enabled?", gang.size), nil
}

func (c *controller) whyUnfit(pods []*corev1.Pod) (reason, message string, err error) {
	nodes, err := c.nodeLister.List(labels.Everything())
	if err != nil {
		return "", "", err
	}
	others := asPods(c.pods.GetIndexer().List())
	var lasting []*corev1.Pod
	for _, pod := range others {
		if !endsByItself(pod) {
			lasting = append(lasting, pod)
		}
	}
	needs := describeNeeds(pods)
	if most, reason := fit(pods, freeResources(nodes, lasting)); most < len(pods) {
		return reasonTooLarge, fmt.Sprintf("needs %s at once, and without other jobs the cluster"+
			" has free resources for %d (%s); add nodes or request less", needs, most, reason), nil
	}
	fitting, reason := fit(pods, freeResources(nodes, others))
	if reason != "" {
		reason = " (" + reason + ")"
	}
	return reasonInsufficient, fmt.Sprintf("needs %s at once, free resources for %d%s", needs, fitting, reason), nil
}

// reportUngrouped reports why a JobSet that wants a gang has none.
func (c *controller) reportUngrouped(ctx context.Context, set *jobset.JobSet) error {
	return c.setCondition(ctx, set, metav1.ConditionFalse, reasonNotAGang,
		"its pods are scheduled one by one: "+whyNoGang(set))
}

// setCondition updates the condition of the JobSet if it differs, and records an event if
// the reason differs too. A restarted controller therefore repeats nothing.
func (c *controller) setCondition(
	ctx context.Context, set *jobset.JobSet, status metav1.ConditionStatus, reason, message string,
) error {
	before := meta.FindStatusCondition(set.Status.Conditions, conditionType)
	if before != nil && before.Reason == reason && before.Message == message {
		return nil
	}
	since := metav1.Now()
	if before != nil && before.Status == status {
		since = before.LastTransitionTime
	}
	patch, err := conditionPatch(set, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: message, LastTransitionTime: since,
	})
	if err != nil {
		return err
	}
	options := metav1.PatchOptions{FieldManager: fieldManager, Force: ptr.To(true)}
	_, err = c.jobSets.JobsetV1alpha2().JobSets(set.Namespace).Patch(
		ctx, set.Name, types.ApplyPatchType, patch, options, "status")
	if err != nil {
		return fmt.Errorf("report on JobSet: %w", err)
	}
	if before == nil || before.Reason != reason {
		c.recordEvent(set, status, reason, message)
	}
	return nil
}

func (c *controller) recordEvent(
	set *jobset.JobSet, status metav1.ConditionStatus, reason, message string,
) {
	kind := corev1.EventTypeWarning
	if status == metav1.ConditionTrue {
		kind = corev1.EventTypeNormal
	}
	c.recorder.Event(set, kind, "Gang"+reason, message)
}

// conditionPatch contains this condition only, so that the fields of the JobSet
// controller in the status stay unchanged. With the UID the patch cannot change another
// JobSet of the same name.
func conditionPatch(set *jobset.JobSet, condition metav1.Condition) ([]byte, error) {
	return json.Marshal(map[string]any{
		"apiVersion": jobset.SchemeGroupVersion.String(),
		"kind":       jobSetKind.Kind,
		"metadata":   map[string]any{"name": set.Name, "namespace": set.Namespace, "uid": set.UID},
		"status":     map[string]any{"conditions": []metav1.Condition{condition}},
	})
}

func countBound(pods []*corev1.Pod) int {
	bound := 0
	for _, pod := range pods {
		if pod.Spec.NodeName != "" {
			bound++
		}
	}
	return bound
}
