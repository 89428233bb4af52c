// Decodes a recorded trace so many times; instructions_test.py counts the instructions of that.
//   decode_trace simple|log counted|packs TIMES
// Prints the number of records.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string_view>

#include "tests/bench/trace_workload.hpp"

int main(int count, char** arguments) {
  using Format = qemon::bench::TraceWorkload::Format;
  if (count != 4) {
    std::cerr << "decode_trace: give simple or log, counted or packs, and how many times\n";
    return 2;
  }
  const std::string_view format(arguments[1]), use(arguments[2]);
  try {
    qemon::bench::TraceWorkload workload(format == "simple" ? Format::simple : Format::log,
                                         use == "packs");
    std::uint64_t records = 0;
    for (int times = std::atoi(arguments[3]); times > 0; --times) records += workload.run();
    std::cout << records << "\n";
  } catch (const std::exception& error) {
    std::cerr << "decode_trace: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
