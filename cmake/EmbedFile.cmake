# The bytes of INPUT as the function FUNCTION of the C++ source OUTPUT; to be run with -P.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
file(WRITE ${OUTPUT} "#include \"${HEADER}\"

namespace {
alignas(8) constexpr unsigned char bytes[] = {
${bytes}
};
}  // namespace

std::span<const unsigned char> ${FUNCTION}() { return bytes; }
")
