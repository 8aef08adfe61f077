// Stands in for libcuda.so.1. A clock of its own runs while kernels do: each takes the milliseconds that `time NAME 3.5`
// says.
#include "Stub.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iomanip>
#include <map>
#include <vector>

struct Module {
    std::string code;
};

struct Function {
    std::string name;
};

struct Event {
    double at;
};

namespace {

std::mutex clock_lock;
double now = 0;
thread_local void* current = nullptr;
int contexts[8];

const std::map<int, std::pair<const char*, const char*>> names = {
    {1, {"CUDA_ERROR_INVALID_VALUE", "invalid argument"}},
    {2, {"CUDA_ERROR_OUT_OF_MEMORY", "out of memory"}},
    {100, {"CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"}},
    {101, {"CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"}},
    {200, {"CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"}},
    {500, {"CUDA_ERROR_NOT_FOUND", "named symbol not found"}},
    {700, {"CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"}},
    {701, {"CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"}},
    {803, {"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"}},
};

// A context's device; -1: none, or not one of these.
int device_of(void* context) {
    for (int device = 0; device < 8; ++device)
        if (context == &contexts[device]) return device;
    return -1;
}

// Each parameter's bits, by the sizes in bytes that `parameters NAME 8 4` says.
std::string parameters_of(const std::string& name, void** parameters) {
    std::istringstream sizes(order("parameters " + name, ""));
    std::ostringstream text;
    int size;
    for (int i = 0; sizes >> size; ++i) {
        uint64_t bits = 0;
        std::memcpy(&bits, parameters[i], static_cast<size_t>(size));
        text << (i > 0 ? "," : "") << std::hex << std::setfill('0') << std::setw(2 * size) << bits;
    }
    return text.str();
}

}  // namespace

EXPORT int cuInit(unsigned) { return called("cuInit"); }

EXPORT int cuDriverGetVersion(int* version) {
    *version = number("driver", 12080);
    return called("cuDriverGetVersion");
}

EXPORT int cuGetErrorName(int status, const char** name) {
    const auto known = names.find(status);
    *name = known == names.end() ? nullptr : known->second.first;
    return known == names.end() ? 1 : 0;
}

EXPORT int cuGetErrorString(int status, const char** text) {
    const auto known = names.find(status);
    *text = known == names.end() ? nullptr : known->second.second;
    return known == names.end() ? 1 : 0;
}

EXPORT int cuDeviceGetCount(int* count) {
    *count = number("devices", 1);
    return called("cuDeviceGetCount");
}

EXPORT int cuDeviceGet(int* device, int index) {
    *device = index;
    return index < number("devices", 1) ? called("cuDeviceGet", std::to_string(index)) : 101;
}

EXPORT int cuDeviceGetName(char* name, int length, int) {
    std::strncpy(name, order("name", "Stand-in 900").c_str(), static_cast<size_t>(length));
    return called("cuDeviceGetName");
}

EXPORT int cuDeviceGetAttribute(int* value, int attribute, int) {
    switch (attribute) {
        case 8: *value = 49152; break;
        case 16: *value = 132; break;
        case 75: *value = number("capability", 90) / 10; break;
        case 76: *value = number("capability", 90) % 10; break;
        case 97: *value = number("shared", 232448); break;
        default: return 1;
    }
    return called("cuDeviceGetAttribute", std::to_string(attribute));
}

EXPORT int cuDevicePrimaryCtxRetain(void** context, int device) {
    *context = &contexts[device];
    return called("cuDevicePrimaryCtxRetain", std::to_string(device));
}

EXPORT int cuCtxGetCurrent(void** context) {
    *context = current;
    return number("fail cuCtxGetCurrent", 0);
}

EXPORT int cuCtxSetCurrent(void* context) {
    const int status = called("cuCtxSetCurrent", std::to_string(device_of(context)));
    if (status == 0) current = context;
    return status;
}

EXPORT int cuModuleLoadDataEx(void** module, const void* image, unsigned count, int* options, void** values) {
    const std::string code = static_cast<const char*>(image);
    const int status = called("cuModuleLoadDataEx", code.substr(0, code.find('\n')));
    for (unsigned i = 0; status != 0 && i < count; ++i) {
        const auto size = std::find(options, options + count, 6) - options;
        if (options[i] == 5) {
            const auto bytes = reinterpret_cast<size_t>(values[size]);
            std::strncpy(static_cast<char*>(values[i]), "ptxas fatal : the linker's own words", bytes);
        }
    }
    *module = new Module{code};
    return status;
}

EXPORT int cuModuleGetFunction(void** function, void*, const char* name) {
    *function = new Function{name};
    return called("cuModuleGetFunction", name);
}

EXPORT int cuFuncSetAttribute(void* function, int attribute, int value) {
    return called(
        "cuFuncSetAttribute",
        static_cast<Function*>(function)->name + " " + std::to_string(attribute) + " " + std::to_string(value));
}

EXPORT int cuLaunchKernel(
    void* function, unsigned x, unsigned y, unsigned z, unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
    void* stream, void** parameters, void** extra) {
    const auto& name = static_cast<Function*>(function)->name;
    {
        const std::lock_guard<std::mutex> lock(clock_lock);
        now += std::stod(order("time " + name, "0"));
    }
    std::ostringstream text;
    text << name << " device=" << device_of(current) << " grid=" << x << ',' << y << ',' << z << " block=" << block_x << ','
         << block_y << ',' << block_z << " shared=" << shared << " stream=" << stream << " extra=" << (extra != nullptr)
         << " parameters=" << parameters_of(name, parameters);
    const int status = called("cuLaunchKernel", text.str());
    return status != 0 ? status : number("refuse " + name, 0);
}

EXPORT int cuEventCreate(void** event, unsigned flags) {
    *event = new Event{0};
    return called("cuEventCreate", std::to_string(flags));
}

EXPORT int cuEventRecord(void* event, void*) {
    const std::lock_guard<std::mutex> lock(clock_lock);
    static_cast<Event*>(event)->at = now;
    return called("cuEventRecord");
}

EXPORT int cuEventSynchronize(void*) { return called("cuEventSynchronize"); }

EXPORT int cuEventElapsedTime(float* milliseconds, void* first, void* second) {
    *milliseconds = static_cast<float>(static_cast<Event*>(second)->at - static_cast<Event*>(first)->at);
    return called("cuEventElapsedTime");
}

EXPORT int cuStreamIsCapturing(void*, int* capturing) {
    *capturing = number("capturing", 0);
    return called("cuStreamIsCapturing");
}
