package devices

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// kubelet is the part of a kubelet that device plugins talk to.
type kubelet struct {
	api.UnimplementedRegistrationServer
	folder   string
	requests chan *api.RegisterRequest
	server   *grpc.Server
}

func startKubelet(t *testing.T, folder string) *kubelet {
	t.Helper()
	started := &kubelet{folder: folder, requests: make(chan *api.RegisterRequest, 10), server: grpc.NewServer()}
	socket := filepath.Join(folder, "kubelet.sock")
	_ = os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	api.RegisterRegistrationServer(started.server, started)
	go func() { _ = started.server.Serve(listener) }()
	t.Cleanup(started.server.Stop)
	return started
}

func (k *kubelet) Register(_ context.Context, request *api.RegisterRequest) (*api.Empty, error) {
	k.requests <- request
	return &api.Empty{}, nil
}

// plugin connects to the next plugin that registers.
func (k *kubelet) plugin(t *testing.T) (string, api.DevicePluginClient) {
	t.Helper()
	select {
	case request := <-k.requests:
		connection, err := grpc.NewClient("unix://"+filepath.Join(k.folder, request.Endpoint),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = connection.Close() })
		return request.ResourceName, api.NewDevicePluginClient(connection)
	case <-time.After(10 * time.Second):
		t.Fatal("no plugin registered")
		return "", nil
	}
}

func watch(t *testing.T, client api.DevicePluginClient) grpc.ServerStreamingClient[api.ListAndWatchResponse] {
	t.Helper()
	stream, err := client.ListAndWatch(t.Context(), &api.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func receive(t *testing.T, stream grpc.ServerStreamingClient[api.ListAndWatchResponse]) []string {
	t.Helper()
	response, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, device := range response.Devices {
		if device.Health != api.Healthy {
			t.Errorf("%s is %s", device.ID, device.Health)
		}
		ids = append(ids, device.ID)
	}
	return ids
}

func offer(t *testing.T, manager *Manager, counts map[string]int) {
	t.Helper()
	if err := manager.Offer(counts); err != nil {
		t.Fatal(err)
	}
}

func TestDevicesAreRegisteredChangedAndWithdrawn(t *testing.T) {
	folder := t.TempDir()
	kubelet := startKubelet(t, folder)
	manager := NewManager(folder, "node", folder)
	offer(t, manager, map[string]int{"example.com/fpga": 2})
	resource, client := kubelet.plugin(t)
	if resource != "example.com/fpga" || !manager.Registered() {
		t.Fatalf("registered %q, all: %v", resource, manager.Registered())
	}
	stream := watch(t, client)
	if ids := receive(t, stream); len(ids) != 2 {
		t.Fatalf("offered %v", ids)
	}
	offer(t, manager, map[string]int{"example.com/fpga": 4})
	if ids := receive(t, stream); len(ids) != 4 {
		t.Fatalf("after a change, offered %v", ids)
	}
	offer(t, manager, map[string]int{})
	if ids := receive(t, stream); len(ids) != 0 {
		t.Fatalf("without the resource, offered %v", ids)
	}
}

func TestPluginsRegisterAgainWithARestartedKubelet(t *testing.T) {
	folder := t.TempDir()
	kubelet := startKubelet(t, folder)
	manager := NewManager(folder, "node", folder)
	offer(t, manager, map[string]int{"nvidia.com/gpu": 1})
	_, client := kubelet.plugin(t)
	before := receive(t, watch(t, client))
	go manager.Run(t.Context(), func(err error) { t.Log(err) })

	// A kubelet that starts removes all sockets of the folder.
	kubelet.server.Stop()
	sockets, _ := filepath.Glob(filepath.Join(folder, "*.sock"))
	for _, socket := range sockets {
		_ = os.Remove(socket)
	}
	_, client = startKubelet(t, folder).plugin(t)
	if after := receive(t, watch(t, client)); len(after) != 1 || after[0] != before[0] {
		t.Fatalf("offered %v, before the restart %v", after, before)
	}
}

func TestAResourceIsRegisteredOnceTheKubeletRuns(t *testing.T) {
	folder := t.TempDir()
	manager := NewManager(folder, "node", folder)
	if err := manager.Offer(map[string]int{"amd.com/gpu": 1}); err == nil || manager.Registered() {
		t.Fatal("registered without a kubelet")
	}
	kubelet := startKubelet(t, folder)
	if err := manager.Register(); err != nil {
		t.Fatal(err)
	}
	if resource, _ := kubelet.plugin(t); resource != "amd.com/gpu" {
		t.Fatalf("registered %q", resource)
	}
}

func TestResourcesHaveNamesOfAnyLength(t *testing.T) {
	folder := t.TempDir()
	kubelet := startKubelet(t, folder)
	manager := NewManager(folder, "node", folder)
	long := "accelerators.platform.infrastructure.example-company.com/fpga-large"
	offer(t, manager, map[string]int{long: 1})
	resource, client := kubelet.plugin(t)
	if resource != long {
		t.Fatalf("registered %q", resource)
	}
	if ids := receive(t, watch(t, client)); len(ids) != 1 {
		t.Fatalf("offered %v", ids)
	}
}

func TestAResourceThatCannotBeServedDoesNotKeepOthersFromIt(t *testing.T) {
	folder := t.TempDir()
	kubelet := startKubelet(t, folder)
	manager := NewManager(folder, "node", folder)
	// A folder with a file in it is not replaced by a socket.
	blocked := newPlugin("example.com/blocked", "node", none).socket()
	if err := os.MkdirAll(filepath.Join(folder, blocked, "file"), 0o700); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{"example.com/blocked": 1}
	names := []string{"example.com/a", "example.com/b", "example.com/c", "example.com/d"}
	for _, name := range names {
		counts[name] = 1
	}
	if err := manager.Offer(counts); err == nil {
		t.Fatal("no error")
	}
	for range names {
		kubelet.plugin(t)
	}
	if manager.Registered() {
		t.Fatal("the blocked resource is registered")
	}
}

func TestAnnotationsAreChecked(t *testing.T) {
	if counts, err := Parse(`{"nvidia.com/gpu": 8}`); err != nil || counts["nvidia.com/gpu"] != 8 {
		t.Errorf("%v, %v", counts, err)
	}
	if counts, err := Parse(""); err != nil || len(counts) != 0 {
		t.Errorf("%v, %v", counts, err)
	}
	for _, wrong := range []string{"8", `{"a": "b"}`, `{"a": -1}`, `{"a": 1025}`, `{"a": 1.5}`} {
		if _, err := Parse(wrong); err == nil {
			t.Errorf("accepted %s", wrong)
		}
	}
}
