package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"k8s.io/apimachinery/pkg/labels"
	networkinginformers "k8s.io/client-go/informers/networking/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

const (
	ruleTable  = "devstack-network-policies"
	probeTable = "devstack-network-policies-probe"
)

// ensureQueueRules makes sure that packets get into the queue, or returns in `unsupported` why the
// kernel does not let them. Upstream's rules use the queue expression of nftables. A kernel without
// it (CONFIG_NFT_QUEUE) refuses them; it may have the older NFQUEUE target, which this program then
// uses instead, in a table of its own.
func ensureQueueRules(policies networkinginformers.NetworkPolicyInformer) (unsupported, err error) {
	// A program that was killed leaves its table behind.
	_ = removeTable(ruleTable)
	expressionErr := tryRule(queueExpression())
	if expressionErr == nil {
		return nil, nil
	}
	if compatErr := tryRule(queueTarget()); compatErr != nil {
		return fmt.Errorf("this kernel cannot queue packets: nftables' queue (CONFIG_NFT_QUEUE): %w; "+
			"target NFQUEUE (CONFIG_NETFILTER_XT_TARGET_NFQUEUE, CONFIG_NFT_COMPAT): %w", expressionErr, compatErr), nil
	}
	log.Printf("nftables' queue: %v; the target NFQUEUE is used instead", expressionErr)
	// Upstream would log that its rules are refused at each change of a pod.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	return nil, syncOnChange(policies)
}

// queueExpression returns what upstream's rules end with.
func queueExpression() expr.Any {
	return &expr.Queue{Num: queueNumber, Flag: expr.QueueFlagBypass}
}

// queueTarget returns the target NFQUEUE, revision 3: struct xt_NFQ_info_v3 of
// linux/netfilter/xt_NFQUEUE.h, padded to 8 bytes as XT_ALIGN does.
func queueTarget() expr.Any {
	const queues, bypass = 1, 1
	info := xt.Unknown(make([]byte, 8))
	for index, field := range []uint16{queueNumber, queues, bypass} {
		binary.NativeEndian.PutUint16(info[2*index:], field)
	}
	return &expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info}
}

// tryRule returns the kernel's error if it refuses a rule with one expression.
func tryRule(expression expr.Any) error {
	err := writeTable(probeTable, func(connection *nftables.Conn, chain *nftables.Chain) {
		addRule(connection, chain, expression)
	})
	if err != nil {
		return err
	}
	return removeTable(probeTable)
}

// syncOnChange writes the rules while there is a network policy, and removes them otherwise.
func syncOnChange(policies networkinginformers.NetworkPolicyInformer) error {
	var lock sync.Mutex
	written := false
	sync := func() {
		lock.Lock()
		defer lock.Unlock()
		all, err := policies.Lister().List(labels.Everything())
		if wanted := len(all) > 0; err == nil && wanted != written {
			if err = writeOrRemove(wanted); err == nil {
				written = wanted
			}
		}
		if err != nil {
			log.Fatalf("network-policies: rules of the packet filter: %v", err)
		}
	}
	_, err := policies.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { sync() },
		DeleteFunc: func(any) { sync() },
	})
	return err
}

func writeOrRemove(wanted bool) error {
	if !wanted {
		return removeTable(ruleTable)
	}
	return writeTable(ruleTable, func(connection *nftables.Conn, chain *nftables.Chain) {
		accept := &expr.Verdict{Kind: expr.VerdictAccept}
		// What the node's own processes send, such as the kubelet's probes, and packets of
		// connections that were accepted before, as in upstream's rules.
		addRule(connection, chain,
			&expr.Meta{Key: expr.MetaKeySKUID, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: make([]byte, 4)}, accept)
		addRule(connection, chain,
			&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
			&expr.Bitwise{
				SourceRegister: 1, DestRegister: 1, Len: 4,
				Mask: binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED),
				Xor:  make([]byte, 4),
			},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)}, accept)
		addRule(connection, chain, queueTarget())
	})
}

// writeTable replaces a table, which has one chain, at the hook of upstream's.
func writeTable(name string, addRules func(*nftables.Conn, *nftables.Chain)) error {
	connection, err := nftables.New()
	if err != nil {
		return err
	}
	// Pods have IPv4 addresses only. Adding, deleting and adding again empties it.
	table := &nftables.Table{Name: name, Family: nftables.TableFamilyIPv4}
	connection.AddTable(table)
	connection.DelTable(table)
	connection.AddTable(table)
	addRules(connection, connection.AddChain(&nftables.Chain{
		Name:     "postrouting",
		Table:    table,
		Type:     nftables.ChainTypeFilter,
		Hooknum:  nftables.ChainHookPostrouting,
		Priority: nftables.ChainPriorityRef(*nftables.ChainPriorityNATSource - 5),
	}))
	return connection.Flush()
}

func addRule(connection *nftables.Conn, chain *nftables.Chain, expressions ...expr.Any) {
	connection.AddRule(&nftables.Rule{Table: chain.Table, Chain: chain, Exprs: expressions})
}

// removeTable deletes a table, which need not exist.
func removeTable(name string) error {
	connection, err := nftables.New()
	if err != nil {
		return err
	}
	table := &nftables.Table{Name: name, Family: nftables.TableFamilyIPv4}
	connection.AddTable(table)
	connection.DelTable(table)
	return connection.Flush()
}
