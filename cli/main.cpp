#include <iostream>

#include "cli/app.hpp"

int main(int argc, char** argv) {
  return qemon::cli::run(argc, argv, qemon::cli::process_environment(), std::cout, std::cerr);
}
