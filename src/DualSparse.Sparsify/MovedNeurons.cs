using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Sparsify;

/// <summary>One expert's neurons within one tensor, and their new order; all elements of a neuron move together.</summary>
/// <param name="Tensor">The tensor's name.</param>
/// <param name="First">The first neuron's first element.</param>
/// <param name="Width">Elements of a neuron.</param>
/// <param name="NeuronStep">Elements from a neuron to the next.</param>
/// <param name="ElementStep">Elements from one element of a neuron to its next; one of the two steps is 1.</param>
/// <param name="Order">The neuron at each position.</param>
internal sealed record MovedNeurons(string Tensor, long First, int Width, long NeuronStep, long ElementStep, int[] Order)
{
    /// <summary>Neurons that are a matrix's rows.</summary>
    public static MovedNeurons Of(WeightSlice weights, int[] order) =>
        new(weights.Tensor.Name, weights.First, weights.Columns, weights.RowStep, weights.ColumnStep, order);

    /// <summary>Neurons that are a matrix's columns.</summary>
    public static MovedNeurons OfInputs(WeightSlice weights, int[] order) =>
        new(weights.Tensor.Name, weights.First, weights.Rows, weights.ColumnStep, weights.RowStep, order);

    /// <summary>Appends a tensor that consists of such neurons, in its own layout.</summary>
    /// <param name="writer">The writer, whose next tensor this is.</param>
    /// <param name="tensor">The tensor.</param>
    /// <param name="parts">The parts that make up the tensor, in the order of their first elements.</param>
    /// <exception cref="IOException">Writing failed, for example because the disk is full.</exception>
    public static void Append(CheckpointWriter writer, TensorView tensor, IReadOnlyList<MovedNeurons> parts)
    {
        if (parts[0].ElementStep == 1)
        {
            foreach (var part in parts)
                part.AppendNeurons(writer, tensor);
            return;
        }

        // Neurons lie side by side. A line holds one element of each: of one part, or of gates and then of ups.
        var lines = parts.ToLookup(part => part.First / (part.Width * part.ElementStep));
        byte[] permuted = new byte[tensor.ByteLength / tensor.Count * parts.Max(part => part.Order.Length)];
        foreach (var beside in lines)
        {
            for (int i = 0; i < beside.First().Width; i++)
            {
                foreach (var part in beside)
                    part.AppendLine(writer, tensor, i, permuted);
            }
        }
    }

    private void AppendNeurons(CheckpointWriter writer, TensorView tensor)
    {
        foreach (int neuron in Order)
            writer.AppendBytes(Tensor, tensor.ElementBytes(First + neuron * NeuronStep, Width));
    }

    private void AppendLine(CheckpointWriter writer, TensorView tensor, int index, Span<byte> permuted)
    {
        var line = tensor.ElementBytes(First + index * ElementStep, Order.Length);
        int size = line.Length / Order.Length;
        for (int i = 0; i < Order.Length; i++)
            line.Slice(Order[i] * size, size).CopyTo(permuted[(i * size)..]);
        writer.AppendBytes(Tensor, permuted[..line.Length]);
    }
}
