// Command kindnetd does for the stand-in of kind's node image what kindnetd does in kind's own: it
// configures the pod network of its node, a route to every other node, and masquerading. It
// enforces no network policies.
package main

import (
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

const (
	configFile = "/etc/cni/net.d/10-kindnet.conflist"
	chain      = "KIND-MASQ-AGENT"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatal(err)
	}
	client := kubernetes.NewForConfigOrDie(config)
	for ctx.Err() == nil {
		if err := follow(ctx, client); err != nil {
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
	if address == os.Getenv("HOST_IP") {
		if err := masquerade(os.Getenv("POD_SUBNET")); err != nil {
			return err
		}
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

// masquerade gives traffic that leaves the pod network the node's address.
func masquerade(subnet string) error {
	if exec.Command("iptables", "-w", "-t", "nat", "-N", chain).Run() == nil {
		for _, rule := range [][]string{
			{"-d", subnet, "-j", "RETURN"},
			{"-j", "MASQUERADE"},
		} {
			if err := iptables(append([]string{"-A", chain}, rule...)...); err != nil {
				return err
			}
		}
		jump := []string{"-A", "POSTROUTING", "-m", "addrtype", "!", "--dst-type", "LOCAL", "-j", chain}
		return iptables(jump...)
	}
	return nil
}

func iptables(arguments ...string) error {
	output, err := exec.Command("iptables", append([]string{"-w", "-t", "nat"}, arguments...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("iptables %v: %w: %s", arguments, err, output)
	}
	return nil
}

func writeConfig(subnet string) error {
	content, err := json.MarshalIndent(map[string]any{
		"cniVersion": "0.3.1",
		"name":       "kindnet",
		"plugins": []any{
			map[string]any{
				"type":   "ptp",
				"ipMasq": false,
				"ipam": map[string]any{
					"type":    "host-local",
					"dataDir": "/run/cni-ipam-state",
					"routes":  []any{map[string]any{"dst": "0.0.0.0/0"}},
					"ranges":  []any{[]any{map[string]any{"subnet": subnet}}},
				},
			},
			map[string]any{"type": "portmap", "capabilities": map[string]any{"portMappings": true}},
		},
	}, "", "  ")
	if err != nil {
		return err
	}
	if present, err := os.ReadFile(configFile); err == nil && string(present) == string(content) {
		return nil
	}
	unfinished := filepath.Join(filepath.Dir(configFile), ".kindnet")
	if err := os.WriteFile(unfinished, content, 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, configFile)
}
