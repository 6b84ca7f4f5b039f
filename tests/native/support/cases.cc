#include "support/cases.h"

#include <fstream>
#include <sstream>
#include <stdexcept>

#include "support/device.h"

namespace lanes_test {
namespace {

std::vector<std::string> Split(const std::string& line) {
  std::vector<std::string> fields;
  std::stringstream stream(line);
  std::string field;
  while (std::getline(stream, field, '\t')) fields.push_back(field);
  return fields;
}

// As far as the columns tell.
double Multiplications(const Case& c) {
  if (c.Has("k")) return static_cast<double>(c.Integer("m") * c.Integer("n")) * c.Integer("k");
  if (!c.Has("sequences")) return 0;
  double pairs = 0;
  std::stringstream list(c.Text("sequences"));
  std::string sequence;
  while (std::getline(list, sequence, ',')) {
    // Queries / keys / …
    const size_t slash = sequence.find('/');
    pairs += std::stod(sequence.substr(0, slash)) * std::stod(sequence.substr(slash + 1));
  }
  return 2 * pairs * static_cast<double>(c.Integer("heads") * c.Integer("dim"));
}

}  // namespace

const std::string& Case::Text(const std::string& column) const {
  const auto found = values_.find(column);
  if (found == values_.end()) throw std::runtime_error("no column " + column + " in " + Describe());
  return found->second;
}

int64_t Case::Integer(const std::string& column) const {
  size_t used = 0;
  const std::string& text = Text(column);
  const int64_t value = std::stoll(text, &used);
  if (used != text.size()) throw std::runtime_error(column + " is not a number in " + Describe());
  return value;
}

std::string Case::Describe() const {
  std::string text = "line " + std::to_string(line_) + ":";
  for (const auto& entry : values_) text += " " + entry.first + "=" + entry.second;
  return text;
}

std::vector<Case> ReadCases(const std::string& file) {
  const std::string path = std::string(LANES_CASES) + "/" + file;
  std::ifstream stream(path);
  if (!stream) throw std::runtime_error("cannot read " + path);
  std::vector<std::string> columns;
  std::vector<Case> cases;
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> fields = Split(line);
    if (columns.empty()) {
      columns = fields;
      continue;
    }
    if (fields.size() != columns.size()) {
      throw std::runtime_error(path + ":" + std::to_string(number) + ": " + std::to_string(fields.size()) + " fields, expected " +
                               std::to_string(columns.size()));
    }
    std::map<std::string, std::string> values;
    for (size_t i = 0; i < fields.size(); ++i) values[columns[i]] = fields[i];
    Case c(number, std::move(values));
    if (!TooLarge(Multiplications(c), c.Describe())) cases.push_back(std::move(c));
  }
  if (cases.empty()) throw std::runtime_error(path + " holds no cases");
  return cases;
}

}  // namespace lanes_test
