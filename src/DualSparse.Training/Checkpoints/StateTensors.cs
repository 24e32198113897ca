using System.Numerics;
using System.Runtime.InteropServices;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Training.Optimisation;

namespace DualSparse.Training.Checkpoints;

/// <summary>
/// The tensors of a run's state in f32, under the names of the model's: the weights, and AdamW's two means. Three files, each of them like a
/// checkpoint's.
/// </summary>
internal static unsafe class StateTensors
{
    private const string Values = "values.safetensors", Means = "means.safetensors", Squares = "squares.safetensors";

    /// <summary>Writes the files into a folder, each through to the disk.</summary>
    /// <returns>The check sum of each file's elements, by its name.</returns>
    /// <exception cref="IOException">Writing failed, say because the disk is full.</exception>
    public static SortedDictionary<string, uint> Write(string folder, ParameterSet set, AdamW optimizer)
    {
        var sums = new SortedDictionary<string, uint>(StringComparer.Ordinal);
        foreach (var (name, memory) in Files(set, optimizer))
        {
            using var writer = new SafetensorsWriter(Path.Combine(folder, name), [.. set.All.Select(p => new TensorDeclaration(p.Name, TensorType.F32, p.Shape))]);
            uint sum = 0;
            foreach (var parameter in set.All)
            {
                var elements = Of(memory, parameter);
                sum = Add(sum, elements);
                writer.Append(parameter.Name, elements);
            }

            writer.Commit();
            sums[name] = sum;
        }

        return sums;
    }

    /// <summary>Reads the files of a folder.</summary>
    /// <param name="folder">What <see cref="Write"/> wrote into.</param>
    /// <param name="sums">What it returned.</param>
    /// <param name="set">Receives the weights.</param>
    /// <param name="optimizer">Receives the means.</param>
    /// <exception cref="ModelFormatException">A file is missing, damaged, or another model's.</exception>
    public static void Read(string folder, IReadOnlyDictionary<string, uint> sums, ParameterSet set, AdamW optimizer)
    {
        foreach (var (name, memory) in Files(set, optimizer))
        {
            using var file = SafetensorsFile.Open(Path.Combine(folder, name));
            uint sum = 0;
            foreach (var parameter in set.All)
            {
                var tensor = file.Get(parameter.Name, parameter.Shape);
                var elements = Of(memory, parameter);
                tensor.ReadFloats(0, elements);
                tensor.Release();
                sum = Add(sum, elements);
            }

            if (!sums.TryGetValue(name, out uint expected) || sum != expected)
                throw new ModelFormatException($"{file.Path}: its elements have the check sum {sum:x8}, expected {expected:x8}: the file is damaged");
        }
    }

    private static (string Name, nint Memory)[] Files(ParameterSet set, AdamW optimizer) =>
        [(Values, (nint)set.Values), (Means, (nint)optimizer.Means), (Squares, (nint)optimizer.Squares)];

    private static Span<float> Of(nint memory, Parameter parameter) => new((float*)memory + parameter.Offset, checked((int)parameter.Count));

    // CRC-32C, which processors have an instruction for.
    private static uint Add(uint sum, ReadOnlySpan<float> elements)
    {
        foreach (ulong pair in MemoryMarshal.Cast<float, ulong>(elements))
            sum = BitOperations.Crc32C(sum, pair);
        return elements.Length % 2 == 0 ? sum : BitOperations.Crc32C(sum, BitConverter.SingleToUInt32Bits(elements[^1]));
    }
}
