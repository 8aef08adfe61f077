// Runs launches of the kernels that it is linked with. A launch comes on the standard input and its result goes to the
// standard output, numbers as this machine has them, texts after their length:
//   to:   kernel; blocks along x (64 bits), y, z; threads; shared bytes; seed (64 bits); the number of arguments; each
//         argument: its kind (8 bits) and element type; a number: 64 bits; a tensor: whether there is one (8 bits), its
//         place beyond a multiple of 256 bytes, its bytes' number (64 bits), and the bytes where it is read or updated
//   from: 0 (8 bits) and the bytes of every tensor written or updated; or 1 and an error text, with which the process ends
// Each launch runs twice, its threads in different orders; the results must be the same, bit for bit.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <numeric>
#include <string>
#include <vector>

#include "Block.h"
#include "Buffers.h"
#include "Emulation.h"
#include "Launch.h"
#include "Numbers.h"
#include "SharedMemory.h"

Extent threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {

namespace {

FILE* results;

void receive(void* target, size_t size) {
    if (size > 0 && fread(target, 1, size, stdin) != size) _exit(2);
}

template <typename T>
T receive() {
    T value;
    receive(&value, sizeof(value));
    return value;
}

void send(const void* source, size_t size) {
    if (size > 0 && fwrite(source, 1, size, results) != size) _exit(2);
}

struct Launch {
    std::string kernel;
    long long grid_x;
    int grid_y, grid_z, threads, shared_bytes;
    unsigned long long seed;
    std::vector<Parameter> parameters;
    // A number, or an address.
    std::vector<unsigned long long> bits;
    // The place of a tensor among the buffers, or -1.
    std::vector<int> places;
    std::vector<Buffer> buffers;
};

// What runs, for what is said when a sanitizer ends the process.
const Launch* running;

Launch receive_launch(unsigned name_length) {
    Launch launch;
    launch.kernel.resize(name_length);
    receive(launch.kernel.data(), name_length);
    launch.grid_x = receive<long long>();
    launch.grid_y = receive<int>();
    launch.grid_z = receive<int>();
    launch.threads = receive<int>();
    launch.shared_bytes = receive<int>();
    launch.seed = receive<unsigned long long>();
    const int count = receive<int>();
    for (int index = 0; index < count; index++) {
        const Kind kind = receive<Kind>();
        const int element = receive<int>();
        launch.parameters.push_back({kind, element});
        launch.places.push_back(-1);
        if (!is_tensor(kind)) {
            launch.bits.push_back(receive<unsigned long long>());
            continue;
        }
        launch.bits.push_back(0);
        if (!receive<bool>()) continue;
        const size_t lead = static_cast<size_t>(receive<int>());
        const size_t size = static_cast<size_t>(receive<long long>());
        launch.places.back() = static_cast<int>(launch.buffers.size());
        launch.buffers.emplace_back(size, lead);
        launch.bits.back() = reinterpret_cast<unsigned long long>(launch.buffers.back().start());
        if (is_given(kind)) receive(launch.buffers.back().start(), size);
    }
    return launch;
}

const char* text_of(Kind kind) {
    static const char* const texts[] = {"a tensor to read", "a tensor to write", "a tensor to update",
                                        "an int",           "a long long",       "a float"};
    return texts[static_cast<int>(kind)];
}

std::string text_of(Parameter parameter) {
    std::string text = text_of(parameter.kind);
    if (is_tensor(parameter.kind)) {
        switch (parameter.element) {
            case element_number<float>: return text + " of float";
            case element_number<half>: return text + " of half";
            case element_number<bfloat16>: return text + " of bfloat16";
            default: return text + " of element type " + std::to_string(parameter.element);
        }
    }
    return text;
}

const Entry& entry_of(const Launch& launch) {
    for (int index = 0; index < entry_count; index++) {
        if (launch.kernel == entries[index].name) return entries[index];
    }
    end_with("there is no kernel " + launch.kernel);
}

// A device takes arguments of any type for what the kernel declares; here they must be of its types.
void check_arguments(const Entry& entry, const Launch& launch) {
    const int given = static_cast<int>(launch.parameters.size());
    if (given != entry.count) {
        end_with(launch.kernel + " has " + std::to_string(entry.count) + " parameters and gets " + std::to_string(given) +
                 " arguments");
    }
    for (int index = 0; index < given; index++) {
        const Parameter declared = entry.parameters[index];
        const Parameter is = launch.parameters[index];
        const bool any = declared.element == -1 || is.element == -1;
        // What is updated is a pointer that can be written through.
        const bool same = declared.kind == is.kind || (declared.kind == Kind::write && is.kind == Kind::update);
        if (!same || (!any && declared.element != is.element)) {
            end_with(launch.kernel + ": parameter " + std::to_string(index + 1) + " is " + text_of(declared) + " and gets " +
                     text_of(is));
        }
    }
}

// Runs all blocks, in an order that follows from a seed.
void run(const Entry& entry, const Launch& launch, unsigned long long seed) {
    Counter order(seed);
    gridDim.x = static_cast<unsigned>(launch.grid_x);
    gridDim.y = static_cast<unsigned>(launch.grid_y);
    gridDim.z = static_cast<unsigned>(launch.grid_z);
    blockDim = {static_cast<unsigned>(launch.threads), 1, 1};
    std::vector<long long> blocks(static_cast<size_t>(launch.grid_x * launch.grid_y * launch.grid_z));
    std::iota(blocks.begin(), blocks.end(), 0LL);
    order.shuffle(blocks.data(), static_cast<unsigned>(blocks.size()));
    for (long long index : blocks) {
        blockIdx.x = static_cast<unsigned>(index % launch.grid_x);
        blockIdx.y = static_cast<unsigned>(index / launch.grid_x % launch.grid_y);
        blockIdx.z = static_cast<unsigned>(index / launch.grid_x / launch.grid_y);
        block.run(entry, launch.bits.data(), launch.threads, order);
    }
}

// Runs the launch, and returns what each written tensor holds.
std::vector<std::string> written_by(const Entry& entry, Launch& launch, unsigned long long seed) {
    for (size_t index = 0; index < launch.parameters.size(); index++) {
        const Parameter is = launch.parameters[index];
        if (is.kind == Kind::write && launch.places[index] >= 0) launch.buffers[launch.places[index]].poison(is.element);
    }
    shared_memory.begin_launch(launch.shared_bytes);
    run(entry, launch, seed);
    std::vector<std::string> written;
    for (size_t index = 0; index < launch.parameters.size(); index++) {
        const Parameter is = launch.parameters[index];
        if (!is_changed(is.kind) || launch.places[index] < 0) continue;
        const Buffer& buffer = launch.buffers[launch.places[index]];
        const long long poisoned = is.kind == Kind::write ? buffer.first_poisoned(is.element) : -1;
        if (poisoned >= 0) {
            end_with(launch.kernel + ": element " + std::to_string(poisoned) + " of parameter " + std::to_string(index + 1) +
                     " is not written, or computed from one that is not");
        }
        written.emplace_back(buffer.start(), buffer.length());
    }
    return written;
}

void serve(Launch& launch) {
    kernel_name = launch.kernel.c_str();
    const Entry& entry = entry_of(launch);
    check_arguments(entry, launch);
    running = &launch;
    // The second run finds what is updated as the first one did.
    std::vector<std::string> given;
    for (const Buffer& buffer : launch.buffers) given.emplace_back(buffer.start(), buffer.length());
    const std::vector<std::string> written = written_by(entry, launch, launch.seed);
    for (size_t index = 0; index < launch.parameters.size(); index++) {
        if (launch.parameters[index].kind != Kind::update || launch.places[index] < 0) continue;
        const std::string& bytes = given[launch.places[index]];
        memcpy(launch.buffers[launch.places[index]].start(), bytes.data(), bytes.size());
    }
    const std::vector<std::string> again = written_by(entry, launch, launch.seed + 1);
    running = nullptr;
    for (size_t index = 0; index < written.size(); index++) {
        if (written[index] == again[index]) continue;
        size_t at = 0;
        while (written[index][at] == again[index][at]) at++;
        end_with(launch.kernel + ": what it writes depends on the order of threads, from byte " + std::to_string(at) +
                 " of written tensor " + std::to_string(index + 1));
    }
    const char good = 0;
    send(&good, 1);
    for (const std::string& bytes : written) send(bytes.data(), bytes.size());
    fflush(results);
}

// Says beside a sanitizer's report which thread it is about, and which memory the kernel has.
void say_where() {
    if (running == nullptr) return;
    std::string text = "\nemulation: " + kernel_and_block() + ", thread " + std::to_string(threadIdx.x);
    for (size_t index = 0; index < running->parameters.size(); index++) {
        if (running->places[index] < 0) continue;
        const Buffer& buffer = running->buffers[running->places[index]];
        char address[32];
        snprintf(address, sizeof(address), "%p", static_cast<void*>(buffer.start()));
        text += "\nemulation: parameter " + std::to_string(index + 1) + " has " + std::to_string(buffer.length()) +
                " bytes at " + address;
    }
    text += "\n";
    if (write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

void say_where_and_end(int) {
    say_where();
    _exit(1);
}

}  // namespace

void end_with(const std::string& text) {
    const char bad = 1;
    send(&bad, 1);
    const unsigned length = static_cast<unsigned>(text.size());
    send(&length, sizeof(length));
    send(text.data(), text.size());
    fflush(results);
    _exit(1);
}

void wait_for_block(Place place) { block.wait_for_block(place); }

const Words* exchange(const char* function, unsigned mask, const Words& mine, Place place) {
    return block.exchange(function, mask, mine, place);
}

void wait_for_warp(unsigned mask, Place place) { block.exchange("__syncwarp", mask, Words{}, place); }

int lane() { return static_cast<int>(threadIdx.x % 32); }

const void* to_read(long long offset, int size, Place place) { return shared_memory.to_read(offset, size, place); }

void* to_write(long long offset, int size, Place place) { return shared_memory.to_write(offset, size, place); }

int start_of_array(int offset, Place place) { return shared_memory.start_of_array(offset, place); }

void add_product(float* d, const Words* lanes, float (*value_of)(unsigned short bits)) {
    add_to_sums(d, lanes, lane(), value_of);
}

float half_to_float(unsigned short bits) { return widen(bits); }

unsigned short float_to_half(float value) { return narrow(value); }

}  // namespace emulated

int main() {
    // What anyone prints is not mixed with results.
    emulated::results = fdopen(dup(STDOUT_FILENO), "wb");
    if (emulated::results == nullptr || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) return 2;
    // AddressSanitizer calls back when it ends the process; UndefinedBehaviorSanitizer is told to abort it.
    __sanitizer_set_death_callback(emulated::say_where);
    signal(SIGABRT, emulated::say_where_and_end);
    unsigned name_length;
    while (fread(&name_length, sizeof(name_length), 1, stdin) == 1) {
        emulated::Launch launch = emulated::receive_launch(name_length);
        emulated::serve(launch);
    }
    return 0;
}
