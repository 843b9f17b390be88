package devices

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	// Annotation of a node: a JSON object with the number of devices of each resource.
	Annotation = "devstack.dev/devices"

	// MaxDevices is the most devices of one resource.
	MaxDevices = 1024

	pollInterval    = time.Second
	registerTimeout = 5 * time.Second
)

// Manager has a plugin for each resource of a node, and registers them with the kubelet.
type Manager struct {
	folder string
	node   string
	exists func(string) bool

	lock       sync.Mutex
	plugins    map[string]*plugin
	registered map[string]bool
	kubelet    os.FileInfo
}

// NewManager returns a manager without resources.
//
// The folder is that of the kubelet's socket. root is where the node's files are, such as
// /host: devices that exist below it are passed to containers.
func NewManager(folder, node, root string) *Manager {
	exists := func(file string) bool {
		_, err := os.Stat(filepath.Join(root, file))
		return err == nil
	}
	return &Manager{
		folder: folder, node: node, exists: exists,
		plugins: map[string]*plugin{}, registered: map[string]bool{},
	}
}

// Parse returns the number of devices by resource that an annotation says.
func Parse(text string) (map[string]int, error) {
	counts := map[string]int{}
	if text == "" {
		return counts, nil
	}
	if err := json.Unmarshal([]byte(text), &counts); err != nil {
		return nil, fmt.Errorf("annotation %s: %w", Annotation, err)
	}
	for resource, count := range counts {
		if count < 0 || count > MaxDevices {
			return nil, fmt.Errorf("annotation %s: %d of %s", Annotation, count, resource)
		}
	}
	return counts, nil
}

// Offer sets the number of devices of each resource, and registers new ones. A resource that
// is no longer named stays registered with 0 devices: the kubelet removes at once what has
// none, but keeps for minutes what a plugin that is gone has offered.
func (m *Manager) Offer(counts map[string]int) error {
	m.lock.Lock()
	for resource := range counts {
		if m.plugins[resource] == nil {
			m.plugins[resource] = newPlugin(resource, m.node, m.exists)
		}
	}
	for resource, each := range m.plugins {
		each.offer(counts[resource])
	}
	m.lock.Unlock()
	return m.Register()
}

// Run registers all plugins again whenever the kubelet was restarted, which removes their
// sockets, until the context ends.
func (m *Manager) Run(ctx context.Context, report func(error)) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := m.Register(); err != nil {
				report(err)
			}
		}
	}
}

// Registered returns true if the kubelet knows all resources.
func (m *Manager) Registered() bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	return len(m.registered) == len(m.plugins)
}

// Register registers the plugins that this kubelet does not know yet. One that cannot be
// registered does not keep others from it.
func (m *Manager) Register() error {
	m.lock.Lock()
	defer m.lock.Unlock()
	socket, err := os.Stat(filepath.Join(m.folder, "kubelet.sock"))
	if err != nil {
		return fmt.Errorf("the kubelet's socket: %w", err)
	}
	if m.kubelet == nil || !sameSocket(m.kubelet, socket) {
		m.kubelet, m.registered = socket, map[string]bool{}
	}
	var faults []error
	for resource, each := range m.plugins {
		if m.registered[resource] {
			continue
		}
		if err := each.start(m.folder); err != nil {
			faults = append(faults, fmt.Errorf("serve %s: %w", resource, err))
		} else if err := m.register(each); err != nil {
			faults = append(faults, fmt.Errorf("register %s: %w", resource, err))
		} else {
			m.registered[resource] = true
		}
	}
	return errors.Join(faults...)
}

// sameSocket returns false if the kubelet has replaced its socket; the number of the inode
// may be used again.
func sameSocket(before, now os.FileInfo) bool {
	return os.SameFile(before, now) && before.ModTime().Equal(now.ModTime())
}

func (m *Manager) register(each *plugin) error {
	address := "unix://" + filepath.Join(m.folder, "kubelet.sock")
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), registerTimeout)
	defer cancel()
	_, err = api.NewRegistrationClient(connection).Register(ctx, &api.RegisterRequest{
		Version:      api.Version,
		Endpoint:     each.socket(),
		ResourceName: each.resource,
		Options:      &api.DevicePluginOptions{GetPreferredAllocationAvailable: true},
	})
	return err
}
