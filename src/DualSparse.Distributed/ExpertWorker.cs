using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;
using DualSparse.Models.Safetensors;

namespace DualSparse.Distributed;

/// <summary>A rank that has experts and nothing else: it computes what rank 0 sends, layer by layer, until it is told to end.</summary>
internal sealed unsafe class ExpertWorker : IDisposable
{
    private readonly RankGroup group;
    private readonly ThreadTeam team;
    private readonly Workspace work;
    private readonly PackedExperts?[] layers;
    private readonly ShareMessage message = new();
    private readonly ExpertBatch batch = new();
    private readonly ActivationRows rows = new();
    private readonly ScratchBuffer sums = new();

    private ExpertWorker(RankGroup group, ThreadTeam team, Workspace work, PackedExperts?[] layers) =>
        (this.group, this.team, this.work, this.layers) = (group, team, work, layers);

    /// <summary>Loads the experts of this process's rank.</summary>
    /// <param name="group">The ranks.</param>
    /// <param name="folder">The model's folder.</param>
    /// <param name="options">Weights, threads, kernels, placement.</param>
    /// <exception cref="Models.ModelFormatException">The folder is damaged, not implemented, or larger than the memory that is free.</exception>
    public static ExpertWorker Load(RankGroup group, string folder, EngineOptions options)
    {
        using var checkpoint = Checkpoint.Open(folder);
        var team = new ThreadTeam(options.Threads ?? ThreadTeam.Available);
        var work = new Workspace(team, options.Kernels ?? KernelSet.Best());
        var layers = new PackedExperts?[checkpoint.Config.Layers];
        var worker = new ExpertWorker(group, team, work, layers);
        try
        {
            var loader = new ModelLoader(checkpoint, options with { Rank = group.Rank }, team);
            for (int l = 0; l < layers.Length; l++)
                layers[l] = loader.LoadExperts(l);
            return worker;
        }
        catch
        {
            worker.Dispose();
            throw;
        }
    }

    /// <summary>Serves rank 0 until it ends.</summary>
    public void Run()
    {
        while (true)
        {
            byte* bytes = message.Reserve(ShareMessage.FirstPart);
            // However long the user of rank 0 thinks.
            Receive(bytes, ShareMessage.FirstPart, what: null);
            var header = *(ShareHeader*)bytes;
            if (header.Command == RankCommand.End)
                return;
            if (header.Bytes > ShareMessage.FirstPart)
                bytes = ReceiveRest(bytes, header.Bytes);
            Compute(layers[header.Layer]!);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var layer in layers)
            layer?.Dispose();
        message.Dispose();
        rows.Dispose();
        sums.Dispose();
        work.Dispose();
        team.Dispose();
    }

    private byte* ReceiveRest(byte* first, int bytes)
    {
        byte[] kept = new ReadOnlySpan<byte>(first, ShareMessage.FirstPart).ToArray();
        byte* whole = message.Reserve(bytes);
        kept.CopyTo(new Span<byte>(whole, kept.Length));
        Receive(whole + ShareMessage.FirstPart, bytes - ShareMessage.FirstPart, "a layer's rows");
        return whole;
    }

    private void Compute(PackedExperts experts)
    {
        message.Unpack(batch, rows, work.Kernels[experts.Format].Activations, experts.Hidden);
        int count = message.Header.Rows;
        float* result = sums.Floats((nint)count * experts.Hidden);
        GroupedGemm.Forward(work, experts, batch, rows, count, result, add: false);
        using var sent = group.Send(0, PeerExchange.SumsTag, result, count * experts.Hidden * sizeof(float));
        group.Wait(sent, $"layer {message.Header.Layer}'s sums");
    }

    private void Receive(byte* target, int capacity, string? what)
    {
        using var received = group.Receive(0, PeerExchange.RowsTag, target, capacity);
        group.Wait(received, what);
    }
}
