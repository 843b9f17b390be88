// The gang controller makes a PodGroup for each JobSet that is to start whole
// or not at all, and says on the JobSet why it waits.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	jobsetclient "sigs.k8s.io/jobset/client-go/clientset/versioned"
)

// A hundred gangs that start together cause some hundred requests; more are
// limited by the API server's priority and fairness.
const (
	requestsPerSecond = 100
	requestsAtOnce    = 200
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig to use outside a cluster")
	health := flag.String("health-address", ":8080", "address of /healthz and /readyz")
	plugin := flag.Bool("coscheduling", false,
		"create the PodGroups of the coscheduling plug-in instead of Kubernetes' own")
	flag.Parse()
	if err := run(*kubeconfig, *health, *plugin); err != nil {
		klog.ErrorS(err, "the gang controller failed")
		os.Exit(1)
	}
}

func run(kubeconfig, address string, plugin bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	config, err := configuration(kubeconfig)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	apis, err := connect(config)
	if err != nil {
		return err
	}
	api, err := chooseGroupAPI(apis, plugin)
	if err != nil {
		return err
	}
	klog.InfoS("gangs are PodGroups", "api", api.resource.GroupVersion())
	controller, err := newController(apis, api)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: address, Handler: controller.health()}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	go func() {
		failed <- controller.run(ctx)
		_ = server.Close()
	}()
	if err := <-failed; err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func configuration(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return rest.InClusterConfig()
	}
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}

func chooseGroupAPI(apis clients, plugin bool) (groupAPI, error) {
	if plugin {
		return pluginAPI, nil
	}
	return findGroupAPI(apis.core.Discovery())
}

func connect(config *rest.Config) (apis clients, err error) {
	config.QPS, config.Burst = requestsPerSecond, requestsAtOnce
	config.UserAgent = fieldManager
	if apis.core, err = kubernetes.NewForConfig(config); err != nil {
		return apis, err
	}
	if apis.jobSets, err = jobsetclient.NewForConfig(config); err != nil {
		return apis, err
	}
	apis.groups, err = dynamic.NewForConfig(config)
	return apis, err
}
