using System.Runtime.InteropServices;
using DualSparse.Benchmarking;

namespace DualSparse.Benchmarks.Ort;

/// <summary>
/// An ONNX model of one node: com.microsoft.QMoE, version 1, f32 activations. Weights are constants of the model, so that the session packs
/// them for its matrix kernels when it is created; blocks of 32 weights share a scale, and <c>accuracy_level</c> 4 allows rounding
/// activations to int8, both of which its fastest path on a CPU needs. Field numbers are those of onnx.proto.
/// </summary>
internal static class QMoeModel
{
    public const string Input = "x", Logits = "logits", Output = "y";
    private const int Float = 1, UInt8 = 2;

    /// <summary>Serialises the model.</summary>
    /// <param name="shape">The layer; shared experts aren't part of it.</param>
    /// <param name="bits">4 or 8.</param>
    /// <param name="weights">The experts.</param>
    public static byte[] Make(LayerShape shape, int bits, BlockQuantised weights)
    {
        int e = shape.Experts, d = shape.Hidden, f = shape.Neurons, perByte = 8 / bits, block = BlockQuantised.Block;
        var node = new ProtoMessage();
        // The two empty names are absent biases.
        foreach (string name in (string[])[Input, Logits, "fc1", "fc1_scales", "", "fc2", "fc2_scales"])
            node.Add(1, name);
        node.Add(2, Output).Add(4, "QMoE").Add(7, "com.microsoft")
            .Add(5, Attribute("k", shape.TopK)).Add(5, Attribute("expert_weight_bits", bits)).Add(5, Attribute("block_size", block))
            .Add(5, Attribute("swiglu_fusion", 1)).Add(5, Attribute("normalize_routing_weights", 1)).Add(5, Attribute("accuracy_level", 4))
            .Add(5, new ProtoMessage().Add(1, "activation_type").Add(4, "swiglu").Add(20, 3))
            // SiLU(gate)·up: neither the sharper sigmoid nor the up + 1 of another model.
            .Add(5, new ProtoMessage().Add(1, "activation_alpha").Add(2, 1f).Add(20, 1))
            .Add(5, new ProtoMessage().Add(1, "activation_beta").Add(2, 0f).Add(20, 1));
        var graph = new ProtoMessage().Add(1, node).Add(2, "layer")
            .Add(5, Tensor("fc1", UInt8, [e, 2 * f, d / perByte], weights.GateUp))
            .Add(5, Tensor("fc1_scales", Float, [e, 2 * f, d / block], Bytes(weights.GateUpScales)))
            .Add(5, Tensor("fc2", UInt8, [e, d, f / perByte], weights.Down))
            .Add(5, Tensor("fc2_scales", Float, [e, d, f / block], Bytes(weights.DownScales)))
            .Add(11, Rows(Input, d)).Add(11, Rows(Logits, e)).Add(12, Rows(Output, d));
        return new ProtoMessage().Add(1, 8).Add(7, graph)
            .Add(8, new ProtoMessage().Add(1, "").Add(2, 17))
            .Add(8, new ProtoMessage().Add(1, "com.microsoft").Add(2, 1)).ToBytes();
    }

    private static ProtoMessage Attribute(string name, long value) => new ProtoMessage().Add(1, name).Add(3, value).Add(20, 2);

    private static ProtoMessage Tensor(string name, int type, int[] shape, ReadOnlyMemory<byte> data)
    {
        var tensor = new ProtoMessage();
        foreach (int size in shape)
            tensor.Add(1, size);
        return tensor.Add(2, type).Add(8, name).Add(9, data);
    }

    // [tokens, width] f32.
    private static ProtoMessage Rows(string name, int width) => new ProtoMessage().Add(1, name).Add(2, new ProtoMessage().Add(
        1,
        new ProtoMessage().Add(1, Float).Add(
            2,
            new ProtoMessage().Add(1, new ProtoMessage().Add(2, "tokens")).Add(1, new ProtoMessage().Add(1, width)))));

    private static ReadOnlyMemory<byte> Bytes(float[] values) => MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
}
