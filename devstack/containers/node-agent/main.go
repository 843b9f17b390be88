// The node agent runs on each node of a stack's cluster. It makes the node what its
// annotations and labels say: it offers extended resources such as GPUs to the kubelet, and
// serves instance metadata on 169.254.169.254, also the notice that precedes the end of a
// spot instance.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"devstack/containers/node-agent/devices"
	"devstack/containers/node-agent/imds"
	"devstack/containers/node-agent/node"
)

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	addAddress := flag.Bool("add-address", false,
		"add 169.254.169.254 to the loopback interface and exit; needs CAP_NET_ADMIN")
	plugins := flag.String("plugins", "/var/lib/kubelet/device-plugins", "folder of the kubelet's socket")
	root := flag.String("root", "", "where the node's /dev is mounted: /host for /host/dev")
	health := flag.String("health", "127.0.0.1:10311", "address of /healthz and /readyz")
	flag.Parse()
	var err error
	if *addAddress {
		err = ensureAddress()
	} else {
		err = run(os.Getenv("NODE_NAME"), os.Getenv("NODE_IP"), *plugins, *root, *health)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// ensureAddress makes the metadata service's address one of the node itself. Its pods then
// never reach the metadata service of a cloud that this machine may be in.
func ensureAddress() error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback interface: %w", err)
	}
	return netlink.AddrReplace(loopback, &netlink.Addr{
		IPNet: &net.IPNet{IP: net.ParseIP(imds.Address).To4(), Mask: net.CIDRMask(32, 32)},
		Scope: unix.RT_SCOPE_HOST,
	})
}

func run(name, address, plugins, root, health string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	watcher, err := node.NewWatcher(name)
	if err != nil {
		return err
	}
	agent := &agent{
		address: address,
		devices: devices.NewManager(plugins, name, root),
		imds:    imds.NewServer(net.JoinHostPort(imds.Address, "80")),
	}
	go agent.devices.Run(ctx, report)
	go watcher.Run(ctx, agent.update, report)
	return agent.serveHealth(ctx, health)
}

func report(err error) { log.Print(err) }

type agent struct {
	address string
	devices *devices.Manager
	imds    *imds.Server
	seen    atomic.Bool
}

// update makes the node what its annotations and labels say.
func (a *agent) update(now node.Node) {
	counts, err := devices.Parse(now.Annotations[devices.Annotation])
	if err == nil {
		err = a.devices.Offer(counts)
	}
	if err != nil {
		report(err)
	}
	if err := a.imds.Update(imds.FromNode(now, a.address)); err != nil {
		report(err)
	}
	a.seen.Store(true)
}

// serveHealth reports ready once the kubelet knows all devices of the node.
func (a *agent) serveHealth(ctx context.Context, address string) error {
	handler := http.NewServeMux()
	handler.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	handler.HandleFunc("/readyz", func(response http.ResponseWriter, _ *http.Request) {
		if !a.seen.Load() || !a.devices.Registered() {
			http.Error(response, "not all devices are registered yet", http.StatusServiceUnavailable)
		}
	})
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}
