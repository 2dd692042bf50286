#include "symbols.h"

#include <cxxabi.h>
#include <elf.h>
#include <link.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

namespace emulator {
namespace {

struct Symbol {
    std::uintptr_t at;
    std::size_t bytes;
    unsigned char type;
    std::string name;  ///< mangled
};

/// From the file, since what is not exported is not in memory.
std::vector<Symbol> read_symbols() {
    std::uintptr_t base = 0;  // the program comes first
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* to) {
            *static_cast<std::uintptr_t*>(to) = info->dlpi_addr;
            return 1;
        },
        &base);
    std::ifstream file("/proc/self/exe", std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    std::vector<Symbol> symbols;
    const auto copy = [&](auto& to, std::size_t at) {
        if (at > bytes.size() || sizeof(to) > bytes.size() - at) return false;
        std::memcpy(&to, bytes.data() + at, sizeof(to));
        return true;
    };
    ElfW(Ehdr) header;
    if (!copy(header, 0) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return symbols;
    for (std::size_t s = 0; s < header.e_shnum; ++s) {
        ElfW(Shdr) table, names;
        if (!copy(table, header.e_shoff + s * sizeof(table)) || table.sh_type != SHT_SYMTAB ||
            !copy(names, header.e_shoff + table.sh_link * sizeof(names)))
            continue;
        for (std::size_t i = 0; i < table.sh_size / sizeof(ElfW(Sym)); ++i) {
            ElfW(Sym) symbol;
            if (!copy(symbol, table.sh_offset + i * sizeof(symbol))) break;
            const std::size_t name = names.sh_offset + symbol.st_name;
            if (symbol.st_shndx != SHN_UNDEF && name < bytes.size())
                symbols.push_back({base + symbol.st_value, symbol.st_size,
                                   static_cast<unsigned char>(ELF64_ST_TYPE(symbol.st_info)),
                                   bytes.data() + name});
        }
    }
    return symbols;
}

const Symbol* find(std::uintptr_t at, unsigned char type) {
    static const std::vector<Symbol> symbols = read_symbols();
    for (const Symbol& symbol : symbols)
        if (symbol.type == type && at >= symbol.at &&
            (at < symbol.at + symbol.bytes || at == symbol.at))
            return &symbol;
    return nullptr;
}

void remove_all(std::string& text, const std::string& part) {
    for (std::size_t at; (at = text.find(part)) != std::string::npos;) text.erase(at, part.size());
}
std::string demangled(const std::string& mangled) {
    int status = 0;
    char* const text = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status);
    std::string name = status == 0 ? text : mangled;
    std::free(text);
    remove_all(name, "(anonymous namespace)::");
    remove_all(name, "muster::cuda::");
    remove_all(name, "muster::");
    return name;
}

}  // namespace

std::string name_of_function(const void* at) {
    const Symbol* const symbol = find(reinterpret_cast<std::uintptr_t>(at), STT_FUNC);
    if (symbol == nullptr) return "a kernel";
    const std::string name = demangled(symbol->name);
    std::size_t end = 0;  // of what comes before the parameters, which no template encloses
    for (int depth = 0; end < name.size() && (depth > 0 || name[end] != '('); ++end)
        depth += name[end] == '<' ? 1 : name[end] == '>' ? -1 : 0;
    const std::size_t type = name.rfind("void ", 0) == 0 ? 5 : 0;
    return name.substr(type, end - type);
}

NamedPlace variable_at(std::uintptr_t at) {
    const Symbol* const symbol = find(at, STT_OBJECT);
    if (symbol == nullptr) return {};
    const std::string name = demangled(symbol->name);
    const std::size_t colon = name.rfind("::");
    return {colon == std::string::npos ? name : name.substr(colon + 2), at - symbol->at,
            symbol->bytes};
}

}  // namespace emulator
