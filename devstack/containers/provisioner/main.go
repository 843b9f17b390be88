// The provisioner creates a folder on its node for each claim whose pod is scheduled
// there, and removes it with the claim. One runs on every node.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const (
	// provisionerName is the provisioner field of the StorageClass.
	provisionerName = "devstack.dev/local-path"

	// Errors of a folder are corrected by people.
	firstRetry = time.Second
	lastRetry  = time.Minute
)

func main() {
	node := flag.String("node", "", "name of the node that this runs on")
	folder := flag.String("folder", "/var/local-path-provisioner", "folder of the volumes")
	kubelet := flag.String("kubelet-config", "/etc/kubernetes/kubelet.conf",
		"the kubelet's kubeconfig, which has the address of the API server")
	flag.Parse()
	if err := run(*node, *folder, *kubelet); err != nil {
		klog.ErrorS(err, "the provisioner failed")
		os.Exit(1)
	}
}

func run(node, folder, kubelet string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	volumes, err := openFolders(folder)
	if err != nil {
		return fmt.Errorf("open the folder of the volumes: %w", err)
	}
	config, err := configuration(kubelet)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	controller.NewProvisionController(ctx, client, provisionerName, provisioner{node, volumes},
		controller.LeaderElection(false),
		controller.FailedProvisionThreshold(0),
		controller.FailedDeleteThreshold(0),
		controller.RateLimiter(retries()),
		controller.CreateProvisionedPVLimiter(retries()),
	).Run(ctx)
	return nil
}

func retries() workqueue.TypedRateLimiter[string] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry)
}

// configuration returns the pod's own credentials with the API server's address from the
// kubelet's kubeconfig, which works before kube-proxy does.
func configuration(kubelet string) (*rest.Config, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	config.Host, err = serverIn(kubelet)
	return config, err
}

func serverIn(kubeconfig string) (string, error) {
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		return "", err
	}
	current, found := config.Contexts[config.CurrentContext]
	if !found {
		return "", fmt.Errorf("%s: no context %q", kubeconfig, config.CurrentContext)
	}
	cluster, found := config.Clusters[current.Cluster]
	if !found {
		return "", fmt.Errorf("%s: no cluster %q", kubeconfig, current.Cluster)
	}
	return cluster.Server, nil
}
