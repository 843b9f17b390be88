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

// nodeRoom is a node and what is left of it.
type nodeRoom struct {
	node *corev1.Node
	free corev1.ResourceList
}

// freeRoom returns the nodes less what the pods on them ask for.
func freeRoom(nodes []*corev1.Node, pods []*corev1.Pod) []nodeRoom {
	byName := make(map[string]corev1.ResourceList, len(nodes))
	rooms := make([]nodeRoom, 0, len(nodes))
	for _, node := range nodes {
		free := node.Status.Allocatable.DeepCopy()
		byName[node.Name] = free
		rooms = append(rooms, nodeRoom{node, free})
	}
	for _, pod := range pods {
		if free, found := byName[pod.Spec.NodeName]; found && !isOver(pod) {
			take(free, requests(pod))
		}
	}
	sort.Slice(rooms, func(i, j int) bool { return rooms[i].node.Name < rooms[j].node.Name })
	return rooms
}

// place puts as many of the pods as fit into the rooms, large ones first, and
// returns their number and why the first that did not fit has no place.
func place(pods []*corev1.Pod, rooms []nodeRoom) (placed int, lack string) {
	for _, pod := range largestFirst(pods) {
		wants := requests(pod)
		why := map[string]int{}
		if room := fitting(pod, wants, rooms, why); room != nil {
			take(room.free, wants)
			placed++
		} else if lack == "" {
			lack = countedReasons(why, len(rooms))
		}
	}
	return placed, lack
}

func fitting(
	pod *corev1.Pod, wants corev1.ResourceList, rooms []nodeRoom, why map[string]int,
) *nodeRoom {
	for i := range rooms {
		if obstacle := obstacleFor(pod, wants, &rooms[i]); obstacle != "" {
			why[obstacle]++
			continue
		}
		return &rooms[i]
	}
	return nil
}

// obstacleFor returns why the pod cannot be on the node, or nothing. What only
// the scheduler knows, such as affinity between pods, is left to it.
func obstacleFor(pod *corev1.Pod, wants corev1.ResourceList, room *nodeRoom) string {
	if room.node.Spec.Unschedulable {
		return "cordoned"
	}
	if match, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(room.node); err != nil || !match {
		return "other labels than asked for"
	}
	taint, found := schedulinghelper.FindMatchingUntoleratedTaint(
		klog.Background(), room.node.Spec.Taints, pod.Spec.Tolerations, repels, false)
	if found {
		return "taint " + taint.ToString()
	}
	for _, name := range sortedNames(wants) {
		free, wanted := room.free[name], wants[name]
		if wanted.Sign() > 0 && free.Cmp(wanted) < 0 {
			return fmt.Sprintf("too little %s", name)
		}
	}
	return ""
}

func repels(taint *corev1.Taint) bool {
	return taint.Effect == corev1.TaintEffectNoSchedule || taint.Effect == corev1.TaintEffectNoExecute
}

// requests returns what the scheduler reserves for the pod, the pod itself included.
func requests(pod *corev1.Pod) corev1.ResourceList {
	wants := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	if wants == nil {
		wants = corev1.ResourceList{}
	}
	wants[corev1.ResourcePods] = *resource.NewQuantity(1, resource.DecimalSI)
	return wants
}

func take(free, wants corev1.ResourceList) {
	for name, wanted := range wants {
		left := free[name]
		left.Sub(wanted)
		free[name] = left
	}
}

func isOver(pod *corev1.Pod) bool {
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

// describeNeeds returns such as "1 pod x 2 cpu + 5 pods x 1 cpu".
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

func describeRequests(wants corev1.ResourceList) string {
	var parts []string
	for _, name := range sortedNames(wants) {
		// Every pod asks for one place and some disk; to say so explains nothing.
		if name == corev1.ResourcePods || name == corev1.ResourceEphemeralStorage {
			continue
		}
		quantity := wants[name]
		parts = append(parts, fmt.Sprintf("%s %s", quantity.String(), name))
	}
	return strings.Join(parts, ", ")
}

func sortedNames(wants corev1.ResourceList) []corev1.ResourceName {
	names := make([]corev1.ResourceName, 0, len(wants))
	for name := range wants {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// countedReasons returns such as "too little cpu on 2 of 3 nodes".
func countedReasons(why map[string]int, nodes int) string {
	reasons := make([]string, 0, len(why))
	for reason, count := range why {
		reasons = append(reasons, fmt.Sprintf("%s on %d of %d nodes", reason, count, nodes))
	}
	slices.Sort(reasons)
	if len(reasons) == 0 {
		return "there is no node"
	}
	return strings.Join(reasons, ", ")
}

// ofJobs tells whether the pod is work that ends by itself, and so gives its
// room back.
func ofJobs(pod *corev1.Pod) bool {
	return labels.Set(pod.Labels).Has("batch.kubernetes.io/job-name")
}
