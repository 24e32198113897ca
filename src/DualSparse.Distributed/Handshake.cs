using System.Numerics;
using System.Reflection;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;
using System.Text.Json;
using DualSparse.Distributed.Mpi;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Kernels;

namespace DualSparse.Distributed;

/// <summary>
/// Before anything is loaded, ranks see to it that they are about to run one thing: the same program, model, weights and kernel. Rank 0 offers, the
/// others answer with what they can't do, and rank 0 says whether they go on.
/// </summary>
internal static unsafe class Handshake
{
    // Any sentence of ours, and counts of every expert of the largest models.
    private const int MaxBytes = 1 << 20;

    /// <summary>Tells all ranks each other's hosts, for their sentences. Once it is over all of them have met.</summary>
    /// <returns>On rank 0: each rank's process id.</returns>
    public static int[] Introduce(RankGroup group)
    {
        const string What = "the start";
        if (group.Rank != 0)
        {
            Send(group, 0, RankTag.Host, $"{Environment.ProcessId} {Environment.MachineName}", What);
            group.Meet(Receive(group, 0, RankTag.Host, What).Split('\n'));
            return [];
        }

        string[] hosts = new string[group.Size];
        int[] processes = new int[group.Size];
        (processes[0], hosts[0]) = (Environment.ProcessId, Environment.MachineName);
        for (int rank = 1; rank < group.Size; rank++)
        {
            string[] parts = Receive(group, rank, RankTag.Host, What).Split(' ', 2);
            (processes[rank], hosts[rank]) = (int.Parse(parts[0]), parts[1]);
        }

        for (int rank = 1; rank < group.Size; rank++)
            Send(group, rank, RankTag.Host, string.Join('\n', hosts), What);
        group.Meet(hosts);
        return processes;
    }

    /// <summary>Rank 0's side.</summary>
    /// <exception cref="MpiException">A rank can't take part; the message names it and why.</exception>
    public static void Offer(RankGroup group, string folder, EngineOptions options, RankPlacement placement)
    {
        var kernels = options.Kernels ?? KernelSet.Best();
        var offer = new RankOffer(Version, Fingerprint(folder), options.Weights, kernels[options.Weights].Name, VectorBytes, placement, options.Balance, Low(options.Balance) is { } low ? kernels[low].Name : null);
        string[] answers = new string[group.Size];
        for (int rank = 1; rank < group.Size; rank++)
            Send(group, rank, RankTag.Handshake, JsonSerializer.Serialize(offer), "the handshake");
        for (int rank = 1; rank < group.Size; rank++)
            answers[rank] = Receive(group, rank, RankTag.Handshake, "the handshake");
        int refused = Array.FindIndex(answers, 1, answer => answer.Length > 0);
        for (int rank = 1; rank < group.Size; rank++)
            Send(group, rank, RankTag.Handshake, refused < 0 ? "go" : "stop", "the handshake");
        if (refused >= 0)
            throw new MpiException($"rank {refused}: {answers[refused]}");
    }

    /// <summary>Another rank's side.</summary>
    /// <param name="group">The ranks.</param>
    /// <param name="folder">The model's folder, as this rank was told.</param>
    /// <param name="options">As this rank was told.</param>
    /// <param name="fault">Why this rank can't take part, whatever is offered; null: it can.</param>
    /// <returns>The options to run with; null: the ranks don't go on, and rank 0 says why.</returns>
    public static EngineOptions? Answer(RankGroup group, string folder, EngineOptions options, string? fault)
    {
        var offer = JsonSerializer.Deserialize<RankOffer>(Receive(group, 0, RankTag.Handshake, "the handshake"))!;
        KernelSet? kernels = null;
        Send(group, 0, RankTag.Handshake, fault ?? Differs() ?? "", "the handshake");
        return Receive(group, 0, RankTag.Handshake, "the handshake") == "go" ? offer.Placement.Apply(options) with { Weights = offer.Weights, Kernels = kernels, Balance = offer.Balance } : null;

        string? Differs()
        {
            if (offer.Version != Version)
                return $"it is version {Version} on {Environment.MachineName}, but {offer.Version} at rank 0: install one version everywhere";
            if (offer.Weights != options.Weights)
                return $"its weights are {options.Weights}, but {offer.Weights} at rank 0: start all ranks with the same options";
            string mine;
            try
            {
                mine = Fingerprint(folder);
            }
            catch (Models.ModelFormatException e)
            {
                return e.Message;
            }

            if (offer.Model != mine)
                return $"{folder} on {Environment.MachineName} is another model than at rank 0: its config.json or the sizes of its weights differ";
            // Rows that are sent to a rank that has switched are encoded for its kernel of the lower precision.
            kernels = new KernelSet(format => KernelSet.Named(offer.LowKernel is { } kernel && format == Low(offer.Balance) ? kernel : offer.Kernel)[format]);
            if (Low(offer.Balance) is { } low && kernels[low].Name != offer.LowKernel)
                return $"{Environment.MachineName} has no kernel {offer.LowKernel}, to which rank 0 switches for --balance, but {kernels[low].Name}: force one that all have by {KernelTable.Variable}";
            if (kernels[offer.Weights].Name != offer.Kernel)
                return $"{Environment.MachineName} has no kernel {offer.Kernel}, which rank 0 uses for {offer.Weights} weights, but {kernels[offer.Weights].Name}: force one that all have by {KernelTable.Variable}";
            // Every rank decides for itself what is dropped of rows that all have: norms and routers must give the same bits.
            return VectorBytes == offer.VectorBytes || !offer.Placement.IsSlice ? null
                : $"{Environment.MachineName} adds up in vectors of {VectorBytes} bytes, rank 0 in {offer.VectorBytes}: give --placement own, or set DOTNET_EnableAVX512=0 on all hosts";
        }
    }

    /// <summary>Tells rank 0 that this rank has loaded its part, or why it couldn't.</summary>
    public static void TellLoaded(RankGroup group, string? fault) => Send(group, 0, RankTag.Loaded, fault ?? "", "loading");

    /// <summary>Waits until all ranks have loaded their parts.</summary>
    /// <exception cref="MpiException">One couldn't; the message names it and why.</exception>
    public static void RequireLoaded(RankGroup group)
    {
        for (int rank = 1; rank < group.Size; rank++)
        {
            // Loading takes as long as the disk does.
            if (Receive(group, rank, RankTag.Loaded, what: null) is { Length: > 0 } fault)
                throw new MpiException($"rank {rank}: {fault}");
        }
    }

    private static WeightFormat? Low(BalanceSetting? balance) => balance is { Switches: true } ? LowExperts.Format(balance.Low) : null;

    // Sums of norms and of attention are made in vectors of this width.
    private static int VectorBytes => Vector512.IsHardwareAccelerated ? 64 : Vector<byte>.Count;

    private static string Version => typeof(Handshake).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    // Reading the weights would take as long as loading them: their sizes and the configuration tell models apart.
    private static string Fingerprint(string folder)
    {
        using var checkpoint = Models.Safetensors.Checkpoint.Open(folder);
        long bytes = checkpoint.Config.Tensors.All().Sum(t => checkpoint.Get(t).ByteLength);
        return $"{bytes} {Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(Path.Combine(checkpoint.Folder, "config.json"))))}";
    }

    private static void Send(RankGroup group, int to, int tag, string text, string what)
    {
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(text.Length == 0 ? " " : text);
        fixed (byte* first = bytes)
        {
            int length = Math.Min(bytes.Length, MaxBytes);
            using var size = group.Send(to, tag, &length, sizeof(int));
            using var message = group.Send(to, tag, first, length);
            group.Wait(size, what);
            group.Wait(message, what);
        }
    }

    private static string Receive(RankGroup group, int from, int tag, string? what)
    {
        int length;
        using (var size = group.Receive(from, tag, &length, sizeof(int)))
            group.Wait(size, what);
        byte[] bytes = new byte[length];
        fixed (byte* first = bytes)
        {
            using var message = group.Receive(from, tag, first, length);
            group.Wait(message, what);
        }

        return System.Text.Encoding.UTF8.GetString(bytes).TrimEnd();
    }

    private sealed record RankOffer(string Version, string Model, WeightFormat Weights, string Kernel, int VectorBytes, RankPlacement Placement, BalanceSetting? Balance, string? LowKernel);
}
