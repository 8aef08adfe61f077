"""Writes the .pth files beside this script, with Python's own pickler and zip writer and without PyTorch.

python3 make.py

What torch.save does is little: tensors pickle as calls of torch._utils' functions on storages, storages as persistent
identities, and each storage becomes an entry of a zip file. Stand-ins of those names are enough for the pickler. The
numbers are small whole ones: element i of a storage is i + 1, so that every type of elements holds them exactly.
"""

import collections
import io
import os
import pickle
import struct
import sys
import types
import zipfile

FOLDER = os.path.dirname(os.path.abspath(__file__))

torch = types.ModuleType("torch")
utils = types.ModuleType("torch._utils")
storage_module = types.ModuleType("torch.storage")
torch._utils, torch.storage = utils, storage_module
sys.modules.update({"torch": torch, "torch._utils": utils, "torch.storage": storage_module})


def bfloat16(value):
    return struct.pack("<f", value)[2:]


ELEMENTS = {
    "Double": (8, lambda v: struct.pack("<d", v)),
    "Float": (4, lambda v: struct.pack("<f", v)),
    "Half": (2, lambda v: struct.pack("<e", v)),
    "BFloat16": (2, bfloat16),
    "Long": (8, lambda v: struct.pack("<q", v)),
    "Int": (4, lambda v: struct.pack("<i", v)),
    "Short": (2, lambda v: struct.pack("<h", v)),
    "Char": (1, lambda v: struct.pack("<b", v)),
    "Byte": (1, lambda v: struct.pack("<B", v)),
    "Bool": (1, lambda v: struct.pack("<B", v % 2)),
}


def named(module, name, thing):
    thing.__module__, thing.__name__, thing.__qualname__ = module.__name__, name, name
    setattr(module, name, thing)
    return thing


for name in ELEMENTS:
    named(torch, f"{name}Storage", type(f"{name}Storage", (), {}))
named(storage_module, "UntypedStorage", type("UntypedStorage", (), {}))
for function in ["_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter"]:
    named(utils, function, lambda *arguments: None)
named(torch, "device", type("device", (), {}))
named(torch, "Size", type("Size", (), {}))


class ElementType:
    """torch.float32 and the like pickle as the global of their name."""

    def __init__(self, name):
        self.name = name

    def __reduce__(self):
        return self.name


for element in ["float32", "int64"]:
    setattr(torch, element, ElementType(f"{element}"))
    getattr(torch, element).__class__.__module__ = "torch"


class Call:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class Storage:
    def __init__(self, key, kind, count, untyped=False):
        self.key, self.kind, self.count, self.untyped = key, kind, count, untyped
        size, pack = ELEMENTS[kind]
        self.size = size
        self.bytes = b"".join(pack(index + 1) for index in range(count))


class Pickler(pickle._Pickler):
    def __init__(self, file, protocol, old):
        super().__init__(file, protocol)
        self.old = old

    def persistent_id(self, thing):
        if not isinstance(thing, Storage):
            return None
        if thing.untyped:
            return ("storage", storage_module.UntypedStorage, thing.key, "cpu", len(thing.bytes))
        identity = ("storage", getattr(torch, f"{thing.kind}Storage"), thing.key, "cpu", thing.count)
        return (*identity, None) if self.old else identity

    def save(self, thing, save_persistent_id=True):
        if isinstance(thing, ElementType):
            # As the real ones: a global of the module torch.
            if self.proto >= 4:
                self.save("torch")
                self.save(thing.name)
                self.write(pickle.STACK_GLOBAL)
            else:
                self.write(pickle.GLOBAL + f"torch\n{thing.name}\n".encode())
            return
        super().save(thing, save_persistent_id)


def tensor(storage, offset, size, stride):
    return Call(utils._rebuild_tensor_v2, storage, offset, size, stride, False, collections.OrderedDict())


class StateDict(collections.OrderedDict):
    """An OrderedDict with the attribute that PyTorch's have."""

    def __reduce__(self):
        return collections.OrderedDict, (), {"_metadata": collections.OrderedDict([("", {"version": 1})])}, None, iter(self.items())


def contents(old):
    storages = [Storage(str(index), kind, 6) for index, kind in enumerate(ELEMENTS)]
    shared = Storage("shared", "Float", 12)
    state = StateDict()
    for each in storages:
        state[f"types.{each.kind}"] = tensor(each, 0, (2, 3), (3, 1))
    state["shared.first"] = tensor(shared, 0, (2, 3), (3, 1))
    state["shared.second"] = tensor(shared, 6, (2, 3), (3, 1))
    state["shared.transposed"] = tensor(shared, 0, (3, 4), (1, 3))
    state["shared.every_other"] = tensor(shared, 1, (5,), (2,))
    state["parameter"] = Call(utils._rebuild_parameter, tensor(shared, 2, (4,), (1,)), True, collections.OrderedDict())
    state["version_one"] = Call(utils._rebuild_tensor, shared, 3, (2,), (1,))
    state["scalar"] = tensor(shared, 11, (), ())
    state["empty"] = tensor(Storage("empty", "Float", 0), 0, (0, 3), (3, 1))
    if not old:
        untyped = Storage("untyped", "Float", 4, untyped=True)
        state["untyped"] = Call(
            utils._rebuild_tensor_v3, untyped, 0, (2, 2), (2, 1), False, collections.OrderedDict(), torch.float32)
    everything = {
        "model": state,
        "epoch": 7,
        "negative": -70000,
        "large": 2**70,
        "long": 2**40,
        "loss": 0.25,
        "best": None,
        "done": True,
        "words": ["one", "two", "größer"],
        "names": {"only"},
        "frozen": frozenset(["only"]),
        "bytes": b"\x00\xff",
        "shape": Call(torch.Size, (1, 2)),
        "type": torch.int64,
        "device": Call(torch.device, "cuda", 0),
        "pairs": Call(collections.OrderedDict, [["a", 1]]),
        "optimizer": {"state": {0: {"exp_avg": tensor(shared, 0, (4,), (1,))}}, "param_groups": [{"lr": 1e-3}]},
    }
    everything["itself"] = everything
    if old:
        # Protocol 2 has frozen sets as calls of a class that no state dict needs.
        del everything["frozen"]
    return everything


def pickled(thing, protocol, old=False):
    buffer = io.BytesIO()
    pickler = Pickler(buffer, protocol, old)
    pickler.dump(thing)
    return buffer.getvalue()


def storages_in(thing, found, seen):
    if id(thing) in seen:
        return found
    seen.add(id(thing))
    if isinstance(thing, Storage):
        found[thing.key] = thing
    elif isinstance(thing, Call):
        for argument in thing.arguments:
            storages_in(argument, found, seen)
    elif isinstance(thing, dict):
        for value in thing.values():
            storages_in(value, found, seen)
    return found


def write_zip(path, thing, protocol):
    name = os.path.basename(path)[: -len(".pth")]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:

        def entry(inner, content):
            archive.writestr(zipfile.ZipInfo(f"{name}/{inner}", (1980, 1, 1, 0, 0, 0)), content)

        entry("data.pkl", pickled(thing, protocol))
        entry("byteorder", "little")
        for key, each in storages_in(thing, {}, set()).items():
            entry(f"data/{key}", each.bytes)
        entry("version", "3\n")


def write_old(path, thing):
    with open(path, "wb") as file:
        file.write(pickled(0x1950A86A20F9469CFC6C, 2))
        file.write(pickled(1001, 2))
        file.write(pickled({"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}, 2))
        file.write(pickled(thing, 2, old=True))
        storages = storages_in(thing, {}, set())
        keys = sorted(storages)
        file.write(pickled(keys, 2))
        for key in keys:
            file.write(struct.pack("<q", storages[key].count))
            file.write(storages[key].bytes)


for protocol in [2, 3, 4, 5]:
    everything = contents(False)
    if protocol < 4:
        del everything["frozen"]
    write_zip(os.path.join(FOLDER, f"protocol-{protocol}.pth"), everything, protocol)
write_old(os.path.join(FOLDER, "before-zip.pth"), contents(True))
