"""lanes.h as ctypes: every struct, enum and function of the header, read from the header itself."""

import ctypes
import pathlib
import re

C_TYPES = {
    "int8_t": ctypes.c_int8, "int32_t": ctypes.c_int32, "int64_t": ctypes.c_int64, "uint32_t": ctypes.c_uint32, "uint64_t": ctypes.c_uint64,
    "float": ctypes.c_float, "double": ctypes.c_double, "char": ctypes.c_char,
}


class LanesError(RuntimeError):
    """A call that did not return LANES_OK: `status` and the library's message."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Header:
    """`constants` and `structs` by name; lanes_… functions of the library as attributes, which raise LanesError."""

    def __init__(self, library, header):
        text = re.sub(r"/\*.*?\*/", "", pathlib.Path(header).read_text(encoding="utf-8"), flags=re.S)
        self.constants, self.structs = {}, {}
        for name, value in re.findall(r"#define (LANES_\w+) (\d+)$", text, flags=re.M):
            self.constants[name] = int(value)
        for body in re.findall(r"enum lanes_\w+ \{(.*?)\};", text, flags=re.S):
            for name, value in re.findall(r"(\w+) = (\d+)", body):
                self.constants[name] = int(value)
        for body, name in re.findall(r"typedef struct lanes_\w+ \{(.*?)\} (lanes_\w+);", text, flags=re.S):
            self.structs[name] = type(name, (ctypes.Structure,), {"_fields_": list(self._fields(body))})
        self.library = ctypes.CDLL(str(library))
        self.library.lanes_last_error.restype = ctypes.c_char_p
        self.library.lanes_version.restype = ctypes.c_char_p

    def _fields(self, body):
        for declaration in filter(None, (" ".join(d.split()) for d in body.split(";"))):
            kind, names = re.fullmatch(r"(?:const )?(\w+ ?\**) ?(\w.*)", declaration).groups()
            for name in names.split(","):
                name, count = re.fullmatch(r" ?(\w+)(?:\[(\w+)\])?", name).groups()
                c_type = ctypes.c_void_p if "*" in kind else C_TYPES[kind.strip()]
                yield name, c_type if count is None else c_type * int(self.constants.get(count, count) if not count.isdigit() else count)

    def __getattr__(self, name):
        if name.startswith("LANES_"):
            return self.constants[name]
        function = getattr(self.library, name)

        def call(*arguments):
            status = function(*arguments)
            if status != 0:
                raise LanesError(status, self.library.lanes_last_error().decode())

        return call

    def params(self, name, **fields):
        """A struct with its size and these fields set, the others zero."""
        struct = self.structs[name]()
        known = {field for field, _ in struct._fields_}
        if "size" in known:
            struct.size = ctypes.sizeof(struct)
        for field, value in fields.items():
            if field not in known:
                raise KeyError(f"{name} has no field {field}")
            setattr(struct, field, value)
        return struct
