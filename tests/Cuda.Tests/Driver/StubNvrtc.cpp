// Stands in for libnvrtc.so. What it gives as code are words: the kind, the file and the options in the first line, and then
// the source. A source with `#error` does not compile.
#include "Stub.h"

#include <cstring>
#include <vector>

struct Program {
    std::string file;
    std::string source;
    std::string headers;
    std::string options;
    std::string log;
};

namespace {

Program* of(void* program) { return static_cast<Program*>(program); }

std::string code_of(void* program, const char* kind) {
    return std::string(kind) + " " + of(program)->file + " " + of(program)->options + "\n" + of(program)->source;
}

int copy(const std::string& text, char* target) {
    std::memcpy(target, text.c_str(), text.size() + 1);
    return 0;
}

bool is_machine_code(void* program) { return of(program)->options.find("--gpu-architecture=sm_") != std::string::npos; }

std::vector<int> architectures() {
    std::istringstream text(order("architectures", "75 80 86 90"));
    std::vector<int> all;
    for (int one; text >> one;) all.push_back(one);
    return all;
}

}  // namespace

EXPORT const char* nvrtcGetErrorString(int status) {
    return status == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR_INTERNAL_ERROR";
}

EXPORT int nvrtcVersion(int* major, int* minor) {
    const int version = number("nvrtc", 124);
    *major = version / 10;
    *minor = version % 10;
    return called("nvrtcVersion");
}

EXPORT int nvrtcGetNumSupportedArchs(int* count) {
    *count = static_cast<int>(architectures().size());
    return 0;
}

EXPORT int nvrtcGetSupportedArchs(int* all) {
    for (const int one : architectures()) *all++ = one;
    return 0;
}

EXPORT int nvrtcCreateProgram(
    void** program, const char* source, const char* name, int count, const char* const* headers, const char* const* names) {
    std::string included;
    for (int i = 0; i < count; ++i)
        included += std::string(i > 0 ? "," : "") + names[i] + ":" + std::to_string(std::strlen(headers[i]));
    *program = new Program{name, source, included, "", ""};
    return called("nvrtcCreateProgram", name);
}

EXPORT int nvrtcCompileProgram(void* program, int count, const char* const* options) {
    for (int i = 0; i < count; ++i) of(program)->options += std::string(i > 0 ? " " : "") + options[i];
    const int status = called(
        "nvrtcCompileProgram", of(program)->file + " " + of(program)->options + " headers=" + of(program)->headers);
    const auto error = of(program)->source.find("#error");
    if (error == std::string::npos) return status;
    of(program)->log = of(program)->file + "(1): error: " + of(program)->source.substr(error) + "\n";
    return 6;
}

EXPORT int nvrtcGetProgramLogSize(void* program, size_t* size) {
    *size = of(program)->log.size() + 1;
    return 0;
}

EXPORT int nvrtcGetProgramLog(void* program, char* log) { return copy(of(program)->log, log); }

EXPORT int nvrtcGetCUBINSize(void* program, size_t* size) {
    *size = is_machine_code(program) ? code_of(program, "cubin").size() + 1 : 0;
    return 0;
}

EXPORT int nvrtcGetCUBIN(void* program, char* code) {
    return is_machine_code(program) ? copy(code_of(program, "cubin"), code) : 1;
}

EXPORT int nvrtcGetPTXSize(void* program, size_t* size) {
    *size = code_of(program, "ptx").size() + 1;
    return 0;
}

EXPORT int nvrtcGetPTX(void* program, char* code) { return copy(code_of(program, "ptx"), code); }

EXPORT int nvrtcDestroyProgram(void** program) {
    delete of(*program);
    *program = nullptr;
    return called("nvrtcDestroyProgram");
}
