// Command kindnetd configures the pod network of the node that it runs on, in the stand-in for kind's
// node image: the addresses of its pods, a route to the pods of every other node, and masquerading of
// traffic that leaves the pod network. It enforces no network policies.
//
// Its environment: NODE_NAME, the node; POD_SUBNET, the addresses of all pods.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const configFile = "/etc/cni/net.d/10-kindnet.conflist"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatal(err)
	}
	client := kubernetes.NewForConfigOrDie(config)
	for ctx.Err() == nil {
		if err := masquerade(os.Getenv("POD_SUBNET")); err != nil {
			log.Print(err)
		} else if err := follow(ctx, client); err != nil {
			log.Print(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// follow configures what the nodes require until the watch ends.
func follow(ctx context.Context, client kubernetes.Interface) error {
	watch, err := client.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	defer watch.Stop()
	for event := range watch.ResultChan() {
		node, ok := event.Object.(*corev1.Node)
		if !ok || node.Spec.PodCIDR == "" {
			continue
		}
		if err := configure(node, address(node)); err != nil {
			return err
		}
	}
	return nil
}

func configure(node *corev1.Node, address string) error {
	if node.Name == os.Getenv("NODE_NAME") {
		return writeConfig(node.Spec.PodCIDR)
	}
	_, subnet, err := net.ParseCIDR(node.Spec.PodCIDR)
	if err != nil {
		return err
	}
	return netlink.RouteReplace(&netlink.Route{Dst: subnet, Gw: net.ParseIP(address)})
}

func address(node *corev1.Node) string {
	for _, each := range node.Status.Addresses {
		if each.Type == corev1.NodeInternalIP {
			return each.Address
		}
	}
	return ""
}

// masquerade gives traffic of pods that leaves the pod network the node's address.
func masquerade(subnet string) error {
	rule := []string{"POSTROUTING", "-s", subnet, "!", "-d", subnet, "-j", "MASQUERADE"}
	if iptables("-C", rule) == nil {
		return nil
	}
	return iptables("-A", rule)
}

func iptables(action string, rule []string) error {
	arguments := append([]string{"-w", "-t", "nat", action}, rule...)
	output, err := exec.Command("iptables", arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("iptables %v: %w: %s", arguments, err, output)
	}
	return nil
}

type object map[string]any

// networkConfig returns the list of plug-ins for the pods of a node: a pair of interfaces with an
// address of the subnet, then the ports that pods publish on the node.
func networkConfig(subnet string) object {
	addresses := object{
		"type":   "host-local",
		"ranges": [][]object{{{"subnet": subnet}}},
		"routes": []object{{"dst": "0.0.0.0/0"}},
		// The pods of a node that has been restarted have other addresses.
		"dataDir": "/run/kindnet-addresses",
	}
	return object{
		"cniVersion": "1.0.0",
		"name":       "kindnet",
		"plugins": []object{
			{"type": "ptp", "ipam": addresses},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	}
}

// writeConfig replaces the file at once, as containerd reads it when it changes.
func writeConfig(subnet string) error {
	content, err := json.Marshal(networkConfig(subnet))
	if err != nil {
		return err
	}
	if present, err := os.ReadFile(configFile); err == nil && bytes.Equal(present, content) {
		return nil
	}
	unfinished := filepath.Join(filepath.Dir(configFile), ".kindnet")
	if err := os.WriteFile(unfinished, content, 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, configFile)
}
