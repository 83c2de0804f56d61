/* A Vulkan layer that makes a card of Mesa's software device: with memory of its own, which all processes share, and
   which can be lost.

   The device lends out the machine's RAM without end and tells nobody how much. Under this layer its memory is counted
   in the file $SLIPSTREAM_CARD, for all processes that have the same: what is more than $SLIPSTREAM_CARD_BYTES (else the
   device's own 2 GiB) is refused, VK_EXT_memory_budget says what is free, and what a process held is free when it has
   ended, however it did. Beside that there is the host's memory, which no card counts.

   The device is lost at the moment when the file $SLIPSTREAM_LOST appears: every submit then returns
   VK_ERROR_DEVICE_LOST, as after a reset of the driver or a card that was pulled.

   For one instance and one device at a time of what llama.cpp uses, and no more of Vulkan than that. */

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#define EXPORT __attribute__((visibility("default")))
#define NUM_PROCESSES 64
#define NUM_BLOCKS 4096 /* of one process; the device itself allows no more (maxMemoryAllocationCount) */

enum { OWN, HOST }; /* heaps, and the memory types that lie in them */

static PFN_vkGetInstanceProcAddr next_of_instance;
static PFN_vkGetDeviceProcAddr next_of_device;
static PFN_vkGetPhysicalDeviceMemoryProperties next_memory;
static PFN_vkGetPhysicalDeviceMemoryProperties2 next_memory2;
static PFN_vkEnumerateDeviceExtensionProperties next_extensions;
static PFN_vkGetBufferMemoryRequirements next_requirements;
static PFN_vkAllocateMemory next_allocate;
static PFN_vkFreeMemory next_free;
static PFN_vkQueueSubmit next_submit;
static VkInstance made;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* a file's locks hold for the process, not for a thread */
static int file = -1, place;
static uint64_t *held; /* bytes, by place; each process has one, whose byte of the file it keeps locked while it lives */
static struct { VkDeviceMemory memory; uint64_t size; } blocks[NUM_BLOCKS];

static int lock(int command, short type, off_t byte) {
    struct flock wanted = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int result = fcntl(file, command, &wanted);
    return command == F_GETLK ? wanted.l_type != F_UNLCK : result;
}

static void open_card(void) {
    const char *path = getenv("SLIPSTREAM_CARD");
    if (held || !path) return;
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, NUM_PROCESSES * sizeof *held)) abort();
    held = mmap(NULL, NUM_PROCESSES * sizeof *held, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (held == MAP_FAILED) abort();
    for (place = 0; lock(F_SETLK, F_WRLCK, 1 + place); place++)
        if (place == NUM_PROCESSES - 1) abort();
    held[place] = 0; /* of one that has ended */
}

static void begin(void) {
    pthread_mutex_lock(&mutex);
    open_card();
    if (held) lock(F_SETLKW, F_WRLCK, 0);
}

static void end(void) {
    if (held) lock(F_SETLK, F_UNLCK, 0);
    pthread_mutex_unlock(&mutex);
}

/* Between begin and end. */
static uint64_t used(void) {
    uint64_t sum = 0;
    for (int each = 0; held && each < NUM_PROCESSES; each++) {
        if (held[each] && each != place && !lock(F_GETLK, F_WRLCK, 1 + each)) held[each] = 0;
        sum += held[each];
    }
    return sum;
}

static uint64_t capacity(uint64_t of_device) {
    const char *bytes = getenv("SLIPSTREAM_CARD_BYTES");
    return bytes ? strtoull(bytes, NULL, 10) : of_device;
}

static uint64_t of_device; /* as the driver has it */

static void describe(VkPhysicalDeviceMemoryProperties *found) {
    of_device = found->memoryHeaps[0].size;
    found->memoryHeapCount = found->memoryTypeCount = 2;
    found->memoryHeaps[OWN] = (VkMemoryHeap){capacity(of_device), VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
    found->memoryHeaps[HOST] = (VkMemoryHeap){(uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE), 0};
    VkMemoryPropertyFlags visible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    found->memoryTypes[OWN] = (VkMemoryType){VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | visible, OWN};
    found->memoryTypes[HOST] = (VkMemoryType){VK_MEMORY_PROPERTY_HOST_CACHED_BIT | visible, HOST};
}

static void memory_properties(VkPhysicalDevice physical, VkPhysicalDeviceMemoryProperties *found) {
    next_memory(physical, found);
    describe(found);
}

static void memory_properties2(VkPhysicalDevice physical, VkPhysicalDeviceMemoryProperties2 *found) {
    next_memory2(physical, found);
    describe(&found->memoryProperties);
    for (VkBaseOutStructure *more = found->pNext; more; more = more->pNext) {
        if (more->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT) continue;
        VkPhysicalDeviceMemoryBudgetPropertiesEXT *budget = (VkPhysicalDeviceMemoryBudgetPropertiesEXT *)more;
        begin();
        budget->heapUsage[OWN] = used();
        end();
        budget->heapUsage[HOST] = 0;
        for (int heap = 0; heap < 2; heap++) budget->heapBudget[heap] = found->memoryProperties.memoryHeaps[heap].size;
    }
}

static VkResult extensions(VkPhysicalDevice physical, const char *layer, uint32_t *count, VkExtensionProperties *found) {
    if (layer) return next_extensions(physical, layer, count, found);
    uint32_t room = *count;
    VkResult result = next_extensions(physical, NULL, count, found);
    if (result == VK_SUCCESS && found && *count == room) return VK_INCOMPLETE;
    if (found && result == VK_SUCCESS)
        found[*count] = (VkExtensionProperties){VK_EXT_MEMORY_BUDGET_EXTENSION_NAME, VK_EXT_MEMORY_BUDGET_SPEC_VERSION};
    if (result == VK_SUCCESS) *count += 1;
    return result;
}

static void requirements(VkDevice device, VkBuffer buffer, VkMemoryRequirements *found) {
    next_requirements(device, buffer, found);
    found->memoryTypeBits = 1 << OWN | 1 << HOST;
}

static int take(uint64_t size) {
    begin();
    int fits = !held || used() + size <= capacity(of_device);
    if (held && fits) held[place] += size;
    end();
    return fits;
}

static void give_back(uint64_t size) {
    begin();
    if (held) held[place] -= size;
    end();
}

static void note(VkDeviceMemory memory, uint64_t size) {
    pthread_mutex_lock(&mutex);
    int at = 0;
    while (at < NUM_BLOCKS && blocks[at].memory) at++;
    if (at == NUM_BLOCKS) abort();
    blocks[at].memory = memory, blocks[at].size = size;
    pthread_mutex_unlock(&mutex);
}

static uint64_t forget(VkDeviceMemory memory) {
    uint64_t size = 0;
    pthread_mutex_lock(&mutex);
    for (int at = 0; memory && at < NUM_BLOCKS; at++)
        if (blocks[at].memory == memory) size = blocks[at].size, blocks[at].memory = VK_NULL_HANDLE;
    pthread_mutex_unlock(&mutex);
    return size;
}

static VkResult allocate(VkDevice device, const VkMemoryAllocateInfo *info, const VkAllocationCallbacks *callbacks, VkDeviceMemory *memory) {
    VkMemoryAllocateInfo own = *info;
    int is_counted = info->memoryTypeIndex == OWN;
    own.memoryTypeIndex = 0; /* the only one that the device has */
    if (is_counted && !take(info->allocationSize)) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    VkResult result = next_allocate(device, &own, callbacks, memory);
    if (is_counted && result == VK_SUCCESS) note(*memory, info->allocationSize);
    if (is_counted && result != VK_SUCCESS) give_back(info->allocationSize);
    return result;
}

static void free_memory(VkDevice device, VkDeviceMemory memory, const VkAllocationCallbacks *callbacks) {
    uint64_t size = forget(memory);
    next_free(device, memory, callbacks);
    if (size) give_back(size);
}

/* Mesa 22.3 binds all buffers of a descriptor set, those as well that no shader of the pipeline reads, and which may be
   destroyed by now: it then counts references to memory that is not its own, and dies of it some steps later. A buffer's
   memory is freed apart from it, so what is kept here are some hundred bytes each. */
static void destroy_buffer(VkDevice device, VkBuffer buffer, const VkAllocationCallbacks *callbacks) {
    (void)device, (void)buffer, (void)callbacks;
}

static VkResult submit(VkQueue queue, uint32_t count, const VkSubmitInfo *submits, VkFence fence) {
    const char *sign = getenv("SLIPSTREAM_LOST");
    if (sign && access(sign, F_OK) == 0) return VK_ERROR_DEVICE_LOST;
    return next_submit(queue, count, submits, fence);
}

static VkResult create_instance(const VkInstanceCreateInfo *info, const VkAllocationCallbacks *callbacks, VkInstance *instance) {
    VkLayerInstanceCreateInfo *link = (VkLayerInstanceCreateInfo *)info->pNext;
    while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO && link->function == VK_LAYER_LINK_INFO))
        link = (VkLayerInstanceCreateInfo *)link->pNext;
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    next_of_instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    PFN_vkCreateInstance create = (PFN_vkCreateInstance)next_of_instance(VK_NULL_HANDLE, "vkCreateInstance");
    VkResult result = create(info, callbacks, instance);
    if (result != VK_SUCCESS) return result;
    made = *instance;
    next_memory = (PFN_vkGetPhysicalDeviceMemoryProperties)next_of_instance(made, "vkGetPhysicalDeviceMemoryProperties");
    next_memory2 = (PFN_vkGetPhysicalDeviceMemoryProperties2)next_of_instance(made, "vkGetPhysicalDeviceMemoryProperties2");
    next_extensions = (PFN_vkEnumerateDeviceExtensionProperties)next_of_instance(made, "vkEnumerateDeviceExtensionProperties");
    return result;
}

static VkResult create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo *info, const VkAllocationCallbacks *callbacks, VkDevice *device) {
    VkLayerDeviceCreateInfo *link = (VkLayerDeviceCreateInfo *)info->pNext;
    while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO && link->function == VK_LAYER_LINK_INFO))
        link = (VkLayerDeviceCreateInfo *)link->pNext;
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    PFN_vkGetInstanceProcAddr below = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    next_of_device = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    PFN_vkCreateDevice create = (PFN_vkCreateDevice)below(made, "vkCreateDevice");
    VkResult result = create(physical, info, callbacks, device);
    if (result != VK_SUCCESS) return result;
    next_requirements = (PFN_vkGetBufferMemoryRequirements)next_of_device(*device, "vkGetBufferMemoryRequirements");
    next_allocate = (PFN_vkAllocateMemory)next_of_device(*device, "vkAllocateMemory");
    next_free = (PFN_vkFreeMemory)next_of_device(*device, "vkFreeMemory");
    next_submit = (PFN_vkQueueSubmit)next_of_device(*device, "vkQueueSubmit");
    return result;
}

static const struct { const char *name; PFN_vkVoidFunction function; } own[] = {
    {"vkCreateInstance", (PFN_vkVoidFunction)create_instance},
    {"vkCreateDevice", (PFN_vkVoidFunction)create_device},
    {"vkEnumerateDeviceExtensionProperties", (PFN_vkVoidFunction)extensions},
    {"vkGetPhysicalDeviceMemoryProperties", (PFN_vkVoidFunction)memory_properties},
    {"vkGetPhysicalDeviceMemoryProperties2", (PFN_vkVoidFunction)memory_properties2},
    {"vkGetPhysicalDeviceMemoryProperties2KHR", (PFN_vkVoidFunction)memory_properties2},
    {"vkGetBufferMemoryRequirements", (PFN_vkVoidFunction)requirements},
    {"vkAllocateMemory", (PFN_vkVoidFunction)allocate},
    {"vkFreeMemory", (PFN_vkVoidFunction)free_memory},
    {"vkDestroyBuffer", (PFN_vkVoidFunction)destroy_buffer},
    {"vkQueueSubmit", (PFN_vkVoidFunction)submit},
};

static PFN_vkVoidFunction find(const char *name) {
    for (size_t at = 0; at < sizeof own / sizeof *own; at++)
        if (!strcmp(name, own[at].name)) return own[at].function;
    return NULL;
}

EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetDeviceProcAddr(VkDevice device, const char *name) {
    if (!strcmp(name, "vkGetDeviceProcAddr")) return (PFN_vkVoidFunction)vkGetDeviceProcAddr;
    PFN_vkVoidFunction found = find(name);
    return found ? found : next_of_device(device, name);
}

EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance, const char *name) {
    if (!strcmp(name, "vkGetInstanceProcAddr")) return (PFN_vkVoidFunction)vkGetInstanceProcAddr;
    if (!strcmp(name, "vkGetDeviceProcAddr")) return (PFN_vkVoidFunction)vkGetDeviceProcAddr;
    PFN_vkVoidFunction found = find(name);
    return found ? found : next_of_instance(instance, name);
}
