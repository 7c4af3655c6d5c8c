// Classifies digits with a model that flambeau.jit.save has written. Needs libflambeau only, no Python.
//
//     classify MODEL IMAGE...      an image is a file of 8 x 8 numbers, as text
#include <flambeau/program.h>

#include <fstream>
#include <iostream>

namespace fb = flambeau;

fb::Tensor read_image(const std::string& path) {
  std::ifstream file(path);
  const fb::Tensor image = fb::empty({1, 1, 8, 8}, fb::Dtype::float32);
  for (int64_t i = 0; i < image.numel(); ++i)
    if (!(file >> image.data<float>()[i])) throw fb::ValueError(path + " does not hold 64 numbers");
  return image;
}

int main(int count, char** arguments) {
  if (count < 3) {
    std::cerr << "usage: classify MODEL IMAGE...\n";
    return 2;
  }
  try {
    const fb::Program model = fb::Program::load(arguments[1]);
    fb::Tensors images;
    for (int i = 2; i < count; ++i) images.push_back(read_image(arguments[i]));
    const fb::Tensor scores = model({fb::cat(images, 0)})[0];
    const fb::Tensor digits = fb::argmax(scores, 1, false),
                     chances = fb::amax(fb::softmax(scores, 1, {}), {{1}}, false);
    for (int64_t i = 0; i < digits.numel(); ++i)
      std::cout << arguments[i + 2] << ": " << digits.data<int64_t>()[i] << " (" << chances.data<float>()[i] << ")\n";
  } catch (const fb::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
