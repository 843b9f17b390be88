// Command network-policies enforces the NetworkPolicy objects of a cluster on the node that it
// runs on. The first packet of each connection goes to a queue of the kernel's packet filter,
// and sigs.k8s.io/kube-network-policies decides whether it is delivered.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

// queueNumber identifies the queue that packets wait in; upstream's default.
const queueNumber = 100

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatalf("network-policies: %v", err)
	}
}

func run(ctx context.Context) error {
	client, err := newClient()
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	policies := factory.Networking().V1().NetworkPolicies()
	pods := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTweakListOptions(onlyActivePods))
	controller, err := networkpolicy.NewController(
		client, policies, factory.Core().V1().Namespaces(), pods.Core().V1().Pods(), nil, nil, nil, nil,
		networkpolicy.Config{
			// Without this program nothing is enforced; otherwise the stack's own services
			// could not connect to each other while it starts again.
			FailOpen: true,
			QueueID:  queueNumber,
			NodeName: os.Getenv("NODE_NAME"),
		},
	)
	if err != nil {
		return err
	}
	unsupported, err := ensureQueueRules(policies)
	if err != nil {
		return err
	}
	if err := reportSupport(ctx, client, unsupported); err != nil {
		return err
	}
	if unsupported != nil {
		log.Printf("no network policy is enforced: %v", unsupported)
		go serveHealth(func() bool { return true })
		<-ctx.Done()
		return nil
	}
	// Upstream opens the queue after it has read all policies, namespaces and pods.
	go serveHealth(func() bool { return queueIsRead(queuesFile) })
	factory.Start(ctx.Done())
	pods.Start(ctx.Done())
	defer removeTable(ruleTable)
	return controller.Run(ctx)
}

func newClient() (*kubernetes.Clientset, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.ContentType = "application/vnd.kubernetes.protobuf"
	return kubernetes.NewForConfig(config)
}

// onlyActivePods excludes pods that have ended: their addresses are used again, and the policies
// of the former pod would apply to its successor.
func onlyActivePods(options *metav1.ListOptions) {
	options.FieldSelector = fields.AndSelectors(
		fields.OneTermNotEqualSelector("status.phase", "Succeeded"),
		fields.OneTermNotEqualSelector("status.phase", "Failed"),
	).String()
}
