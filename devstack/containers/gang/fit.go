package main

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	resourcehelper "k8s.io/component-helpers/resource"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// nodeResources is a node and its free resources.
type nodeResources struct {
	node *corev1.Node
	free corev1.ResourceList
}

// freeResources returns the nodes with their allocatable resources less the requests of their pods.
func freeResources(nodes []*corev1.Node, pods []*corev1.Pod) []nodeResources {
	byName := make(map[string]corev1.ResourceList, len(nodes))
	result := make([]nodeResources, 0, len(nodes))
	for _, node := range nodes {
		free := node.Status.Allocatable.DeepCopy()
		byName[node.Name] = free
		result = append(result, nodeResources{node, free})
	}
	for _, pod := range pods {
		if free, found := byName[pod.Spec.NodeName]; found && !isTerminated(pod) {
			subtract(free, requests(pod))
		}
	}
	sort.Slice(result, func(i, j int) bool { return result[i].node.Name < result[j].node.Name })
	return result
}

// fit assigns as many pods as possible to nodes, large ones first. It returns their number
// and why the first of the others does not fit.
func fit(pods []*corev1.Pod, nodes []nodeResources) (fitting int, reason string) {
	for _, pod := range largestFirst(pods) {
		requested := requests(pod)
		reasons := map[string]int{}
		if node := firstFit(pod, requested, nodes, reasons); node != nil {
			subtract(node.free, requested)
			fitting++
		} else if reason == "" {
			reason = countReasons(reasons, len(nodes))
		}
	}
	return fitting, reason
}

func firstFit(
	pod *corev1.Pod, requested corev1.ResourceList, nodes []nodeResources, reasons map[string]int,
) *nodeResources {
	for i := range nodes {
		if reason := unfitReason(pod, requested, &nodes[i]); reason != "" {
			reasons[reason]++
			continue
		}
		return &nodes[i]
	}
	return nil
}

// unfitReason returns why the pod does not fit on the node, or an empty string. It ignores
// what depends on other pods, such as pod affinity.
func unfitReason(pod *corev1.Pod, requested corev1.ResourceList, node *nodeResources) string {
	if node.node.Spec.Unschedulable {
		return "cordoned"
	}
	if match, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node.node); err != nil || !match {
		return "other labels than requested"
	}
	taint, found := schedulinghelper.FindMatchingUntoleratedTaint(
		klog.Background(), node.node.Spec.Taints, pod.Spec.Tolerations, repels, false)
	if found {
		return "taint " + taint.ToString()
	}
	for _, name := range sortedNames(requested) {
		free, wanted := node.free[name], requested[name]
		if wanted.Sign() > 0 && free.Cmp(wanted) < 0 {
			return fmt.Sprintf("too little %s", name)
		}
	}
	return ""
}

func repels(taint *corev1.Taint) bool {
	return taint.Effect == corev1.TaintEffectNoSchedule || taint.Effect == corev1.TaintEffectNoExecute
}

// requests returns the pod's resource requests as the scheduler counts them, with the pod itself.
func requests(pod *corev1.Pod) corev1.ResourceList {
	requested := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	if requested == nil {
		requested = corev1.ResourceList{}
	}
	requested[corev1.ResourcePods] = *resource.NewQuantity(1, resource.DecimalSI)
	return requested
}

func subtract(free, requested corev1.ResourceList) {
	for name, wanted := range requested {
		left := free[name]
		left.Sub(wanted)
		free[name] = left
	}
}

func isTerminated(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func largestFirst(pods []*corev1.Pod) []*corev1.Pod {
	sorted := slices.Clone(pods)
	slices.SortStableFunc(sorted, func(a, b *corev1.Pod) int {
		first, second := requests(a), requests(b)
		if by := second.Cpu().Cmp(*first.Cpu()); by != 0 {
			return by
		}
		return second.Memory().Cmp(*first.Memory())
	})
	return sorted
}

// describeNeeds returns text such as "1 pod x 2 cpu + 5 pods x 1 cpu".
func describeNeeds(pods []*corev1.Pod) string {
	counts := map[string]int{}
	var order []string
	for _, pod := range largestFirst(pods) {
		text := describeRequests(requests(pod))
		if counts[text] == 0 {
			order = append(order, text)
		}
		counts[text]++
	}
	parts := make([]string, len(order))
	for i, text := range order {
		noun := "pods"
		if counts[text] == 1 {
			noun = "pod"
		}
		parts[i] = strings.TrimSuffix(fmt.Sprintf("%d %s x %s", counts[text], noun, text), " x ")
	}
	return strings.Join(parts, " + ")
}

func describeRequests(requested corev1.ResourceList) string {
	var parts []string
	for _, name := range sortedNames(requested) {
		// Every pod requests these; they explain nothing.
		if name == corev1.ResourcePods || name == corev1.ResourceEphemeralStorage {
			continue
		}
		quantity := requested[name]
		parts = append(parts, fmt.Sprintf("%s %s", quantity.String(), name))
	}
	return strings.Join(parts, ", ")
}

func sortedNames(requested corev1.ResourceList) []corev1.ResourceName {
	names := make([]corev1.ResourceName, 0, len(requested))
	for name := range requested {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// countReasons returns text such as "too little cpu on 2 of 3 nodes".
func countReasons(why map[string]int, nodes int) string {
	reasons := make([]string, 0, len(why))
	for reason, count := range why {
		reasons = append(reasons, fmt.Sprintf("%s on %d of %d nodes", reason, count, nodes))
	}
	slices.Sort(reasons)
	if len(reasons) == 0 {
		return "the cluster has no nodes"
	}
	return strings.Join(reasons, ", ")
}

// endsByItself returns true if the pod ends by itself and frees its resources: it belongs to a
// Job, or is not started again, as the pods of Airflow's tasks. The API writes the default,
// Always, into every pod.
func endsByItself(pod *corev1.Pod) bool {
	policy := pod.Spec.RestartPolicy
	return labels.Set(pod.Labels).Has("batch.kubernetes.io/job-name") ||
		(policy != "" && policy != corev1.RestartPolicyAlways)
}
