package main

import (
	"runtime"
	"testing"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// inNewNetwork moves the test into a network namespace of its own, whose packet filter is empty.
func inNewNetwork(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // Never unlocked: the thread ends with the test.
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("only root may create a network namespace: %v", err)
	}
}

func tables(t *testing.T) []string {
	t.Helper()
	connection, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	found, err := connection.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, table := range found {
		names = append(names, table.Name)
	}
	return names
}

func TestTheKernelAcceptsOneOfTheTwoWaysIntoTheQueue(t *testing.T) {
	inNewNetwork(t)
	expression, target := tryRule(queueExpression()), tryRule(queueTarget())
	if expression != nil && target != nil {
		t.Fatalf("neither queue (%v) nor NFQUEUE (%v)", expression, target)
	}
	t.Logf("queue: %v; NFQUEUE: %v", expression, target)
	if left := tables(t); len(left) != 0 {
		t.Errorf("tables that were tried are left: %v", left)
	}
}

func TestRulesAreThereOnlyWhileWanted(t *testing.T) {
	inNewNetwork(t)
	if err := tryRule(queueTarget()); err != nil {
		t.Skipf("this kernel has no target NFQUEUE: %v", err)
	}
	for range 2 {
		if err := writeOrRemove(true); err != nil {
			t.Fatal(err)
		}
	}
	if found := tables(t); len(found) != 1 || found[0] != ruleTable {
		t.Errorf("tables: %v", found)
	}
	for range 2 {
		if err := writeOrRemove(false); err != nil {
			t.Fatal(err)
		}
	}
	if found := tables(t); len(found) != 0 {
		t.Errorf("tables after removal: %v", found)
	}
}

func TestATableThatAKilledProgramLeftIsRemoved(t *testing.T) {
	inNewNetwork(t)
	if err := tryRule(queueTarget()); err != nil {
		t.Skipf("this kernel has no target NFQUEUE: %v", err)
	}
	if err := writeOrRemove(true); err != nil {
		t.Fatal(err)
	}
	client := kubernetes.NewForConfigOrDie(&rest.Config{})
	factory := informers.NewSharedInformerFactory(client, 0)
	if _, err := ensureQueueRules(factory.Networking().V1().NetworkPolicies()); err != nil {
		t.Fatal(err)
	}
	if found := tables(t); len(found) != 0 {
		t.Errorf("tables after the start: %v", found)
	}
}
