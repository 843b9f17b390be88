package devices

import (
	"regexp"
	"slices"
	"testing"

	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

func none(string) bool { return false }

func offering(resource, node string, count int, exists func(string) bool) *plugin {
	made := newPlugin(resource, node, exists)
	made.offer(count)
	return made
}

// allocate returns what a container gets with the devices of these numbers.
func allocate(t *testing.T, from *plugin, numbers ...int) *api.ContainerAllocateResponse {
	t.Helper()
	ids, _ := from.offered()
	request := &api.ContainerAllocateRequest{}
	for _, number := range numbers {
		request.DevicesIds = append(request.DevicesIds, ids[number])
	}
	response, err := from.Allocate(t.Context(),
		&api.AllocateRequest{ContainerRequests: []*api.ContainerAllocateRequest{request}})
	if err != nil {
		t.Fatal(err)
	}
	return response.ContainerResponses[0]
}

func TestGPUsHaveUUIDsOfTheirOwn(t *testing.T) {
	form := regexp.MustCompile(`^GPU-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for _, node := range []string{"a", "b"} {
		ids, _ := offering("nvidia.com/gpu", node, 8, none).offered()
		for _, id := range ids {
			if !form.MatchString(id) || seen[id] {
				t.Errorf("%s: %s", node, id)
			}
			seen[id] = true
		}
	}
	if len(seen) != 16 {
		t.Errorf("%d different UUIDs", len(seen))
	}
}

func TestContainersGetTheVariableOfTheVendor(t *testing.T) {
	gpus := offering("nvidia.com/gpu", "node", 4, none)
	ids, _ := gpus.offered()
	for _, each := range []struct {
		plugin          *plugin
		variable, value string
	}{
		{gpus, "NVIDIA_VISIBLE_DEVICES", ids[1] + "," + ids[2]},
		{offering("aws.amazon.com/neuron", "node", 4, none), "AWS_NEURON_VISIBLE_DEVICES", "1,2"},
		{offering("aws.amazon.com/neuroncore", "node", 4, none), "NEURON_RT_VISIBLE_CORES", "1,2"},
		{offering("google.com/tpu", "node", 4, none), "TPU_VISIBLE_CHIPS", "1,2"},
	} {
		got := allocate(t, each.plugin, 2, 1)
		if len(got.Envs) != 1 || got.Envs[each.variable] != each.value || len(got.Devices) != 0 {
			t.Errorf("%s: %v", each.plugin.resource, got)
		}
	}
	for _, resource := range []string{"amd.com/gpu", "example.com/fpga"} {
		if got := allocate(t, offering(resource, "node", 4, none), 1); len(got.Envs) != 0 {
			t.Errorf("%s: %v", resource, got)
		}
	}
}

func TestDevicesThatTheNodeHasArePassed(t *testing.T) {
	files := []string{"/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/kfd", "/dev/dri/renderD129"}
	exists := func(file string) bool { return slices.Contains(files, file) }
	for _, each := range []struct {
		resource string
		number   int
		files    []string
	}{
		{"nvidia.com/gpu", 0, []string{"/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm"}},
		{"nvidia.com/gpu", 1, nil},
		{"amd.com/gpu", 1, []string{"/dev/dri/renderD129", "/dev/kfd"}},
		{"example.com/fpga", 0, nil},
	} {
		var got []string
		for _, device := range allocate(t, offering(each.resource, "node", 2, exists), each.number).Devices {
			got = append(got, device.HostPath)
		}
		if !slices.Equal(got, each.files) {
			t.Errorf("%s %d: %v", each.resource, each.number, got)
		}
	}
}

func TestLowNumbersArePreferred(t *testing.T) {
	gpus := offering("nvidia.com/gpu", "node", 4, none)
	ids, _ := gpus.offered()
	request := &api.ContainerPreferredAllocationRequest{
		AvailableDeviceIDs:   []string{ids[3], ids[1], ids[0], ids[2]},
		MustIncludeDeviceIDs: []string{ids[2]},
		AllocationSize:       2,
	}
	response, err := gpus.GetPreferredAllocation(t.Context(), &api.PreferredAllocationRequest{
		ContainerRequests: []*api.ContainerPreferredAllocationRequest{request}})
	if err != nil {
		t.Fatal(err)
	}
	if got := response.ContainerResponses[0].DeviceIDs; !slices.Equal(got, []string{ids[2], ids[0]}) {
		t.Error(got)
	}
}

func TestUnknownDevicesAreRejected(t *testing.T) {
	gpus := offering("nvidia.com/gpu", "node", 1, none)
	if _, err := gpus.allocate([]string{"GPU-0"}); err == nil {
		t.Error("allocated a device that does not exist")
	}
}
