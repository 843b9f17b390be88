package devices

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// longestName is the most characters of a resource's name in the name of its socket.
const longestName = 40

// plugin offers one resource. The API does not say which resource a call is for, so each
// has a socket of its own.
type plugin struct {
	api.UnimplementedDevicePluginServer

	resource string
	node     string
	exists   func(string) bool

	lock    sync.Mutex
	ids     []string
	changed chan struct{}

	server *grpc.Server
}

func newPlugin(resource, node string, exists func(string) bool) *plugin {
	return &plugin{resource: resource, node: node, exists: exists, changed: make(chan struct{})}
}

// socket returns the name of the plugin's socket. The path of a socket has at most 107 bytes
// (unix(7)), a resource's name more than 300.
func (p *plugin) socket() string {
	name := strings.ReplaceAll(p.resource, "/", "-")
	if len(name) > longestName {
		sum := sha256.Sum256([]byte(p.resource))
		name = hex.EncodeToString(sum[:8])
	}
	return "devstack-" + name + ".sock"
}

// offer sets the number of devices; the kubelet learns of a change at once.
func (p *plugin) offer(count int) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if count == len(p.ids) {
		return
	}
	p.ids = make([]string, count)
	for index := range p.ids {
		p.ids[index] = deviceID(p.resource, p.node, index)
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *plugin) offered() ([]string, <-chan struct{}) {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.ids, p.changed
}

// start serves the plugin on its socket in a folder, instead of an earlier socket.
func (p *plugin) start(folder string) error {
	p.stop()
	file := filepath.Join(folder, p.socket())
	if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", file)
	if err != nil {
		return err
	}
	p.server = grpc.NewServer()
	api.RegisterDevicePluginServer(p.server, p)
	go func(server *grpc.Server) { _ = server.Serve(listener) }(p.server)
	return nil
}

func (p *plugin) stop() {
	if p.server != nil {
		p.server.Stop()
	}
}

// GetDevicePluginOptions returns which optional calls the plugin implements.
func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{GetPreferredAllocationAvailable: true}, nil
}

// ListAndWatch sends the devices, and sends them again after each change.
func (p *plugin) ListAndWatch(_ *api.Empty, stream grpc.ServerStreamingServer[api.ListAndWatchResponse]) error {
	for {
		ids, changed := p.offered()
		devices := make([]*api.Device, len(ids))
		for index, id := range ids {
			devices[index] = &api.Device{ID: id, Health: api.Healthy}
		}
		if err := stream.Send(&api.ListAndWatchResponse{Devices: devices}); err != nil {
			return err
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-changed:
		}
	}
}

// GetPreferredAllocation prefers devices of low numbers: those that really exist come first.
func (p *plugin) GetPreferredAllocation(_ context.Context, request *api.PreferredAllocationRequest) (*api.PreferredAllocationResponse, error) {
	response := &api.PreferredAllocationResponse{}
	for _, each := range request.ContainerRequests {
		chosen := slices.Clone(each.MustIncludeDeviceIDs)
		for _, id := range p.sorted(each.AvailableDeviceIDs) {
			if len(chosen) < int(each.AllocationSize) && !slices.Contains(chosen, id) {
				chosen = append(chosen, id)
			}
		}
		response.ContainerResponses = append(response.ContainerResponses,
			&api.ContainerPreferredAllocationResponse{DeviceIDs: chosen})
	}
	return response, nil
}

// Allocate returns what containers with these devices need.
func (p *plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for _, each := range request.ContainerRequests {
		container, err := p.allocate(each.DevicesIds)
		if err != nil {
			return nil, err
		}
		response.ContainerResponses = append(response.ContainerResponses, container)
	}
	return response, nil
}

func (p *plugin) allocate(requested []string) (*api.ContainerAllocateResponse, error) {
	offered, _ := p.offered()
	ids := p.sorted(requested)
	indices := make([]int, len(ids))
	for position, id := range ids {
		index := slices.Index(offered, id)
		if index < 0 {
			return nil, fmt.Errorf("this node has no %s %q", p.resource, id)
		}
		indices[position] = index
	}
	container := &api.ContainerAllocateResponse{Envs: environment(p.resource, ids)}
	for _, file := range deviceFiles(p.resource, indices, p.exists) {
		container.Devices = append(container.Devices,
			&api.DeviceSpec{ContainerPath: file, HostPath: file, Permissions: "rw"})
	}
	return container, nil
}

// sorted returns identifiers in the order of the devices' numbers.
func (p *plugin) sorted(ids []string) []string {
	offered, _ := p.offered()
	return slices.SortedStableFunc(slices.Values(ids), func(left, right string) int {
		return slices.Index(offered, left) - slices.Index(offered, right)
	})
}
