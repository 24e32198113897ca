using DualSparse.Engine.Ranks;
using DualSparse.Kernels;
using DualSparse.Kernels.Packing;
using DualSparse.Models;

namespace DualSparse.Distributed;

/// <summary>What a pass of the model is given.</summary>
/// <param name="Rows">T, tokens, of all sequences together.</param>
/// <param name="Sequences">S, texts of equal length that they are of.</param>
/// <param name="Logits">Rows whose logits are wanted.</param>
internal sealed record PassShape(int Rows, int Sequences, int Logits)
{
    /// <summary>The next token of one text.</summary>
    public static readonly PassShape Token = new(1, 1, 1);

    /// <summary>A window of text for each rank, every token scored.</summary>
    public static PassShape Windows(int ranks, int rows) => new(ranks * rows, ranks, ranks * rows);
}

/// <summary>What a rank computes with.</summary>
/// <param name="BytesPerSecond">Read bandwidth of its memory while all ranks read.</param>
/// <param name="OperationsPerSecond">Its kernel's rate, two operations a multiply-add.</param>
/// <param name="AloneBytesPerSecond">Read bandwidth while the others wait: more, where ranks share a machine.</param>
internal readonly record struct MachineRates(double BytesPerSecond, double OperationsPerSecond, double AloneBytesPerSecond)
{
    /// <summary>Of a rank that has its memory to itself.</summary>
    public MachineRates(double bytesPerSecond, double operationsPerSecond)
        : this(bytesPerSecond, operationsPerSecond, bytesPerSecond)
    {
    }
}

/// <summary>The way between two ranks.</summary>
/// <param name="LatencySeconds">λ: until the first byte is there.</param>
/// <param name="BytesPerSecond">β.</param>
/// <param name="CrossedBytesPerSecond">β₂: the rate of each of two large messages that cross. MPI libraries reach half of what the link would carry.</param>
internal readonly record struct LinkRates(double LatencySeconds, double BytesPerSecond, double CrossedBytesPerSecond)
{
    // From about here on both libraries ask before they send, whatever the network: a question, its answer, the bytes.
    private const int LargeFrom = 64 << 10;

    /// <summary>Of a link whose two ways are independent.</summary>
    public LinkRates(double latencySeconds, double bytesPerSecond)
        : this(latencySeconds, bytesPerSecond, bytesPerSecond)
    {
    }

    /// <summary>λ + bytes / β; of a large message 3·λ.</summary>
    public double Seconds(double bytes) => Latency(bytes) + bytes / BytesPerSecond;

    /// <summary>The same while as much comes the other way.</summary>
    public double CrossedSeconds(double bytes) => Latency(bytes) + bytes / CrossedRate(bytes);

    /// <summary>The rate of a message while as much comes the other way: small ones don't meet.</summary>
    public double CrossedRate(double bytes) => bytes < LargeFrom ? BytesPerSecond : CrossedBytesPerSecond;

    private double Latency(double bytes) => (bytes < LargeFrom ? 1 : 3) * LatencySeconds;
}

/// <summary>
/// The predicted time of a pass by placement. A set of matrices takes max(bytes / bandwidth, operations / rate); what ranks do after another adds
/// up, and messages hide behind what a rank computes of its own rows meanwhile. Attention's products with the cache and norms aren't counted.
/// </summary>
/// <param name="config">The model.</param>
/// <param name="weights">The format of its weights.</param>
/// <param name="rowBytes">Bytes of a row on its way to an expert.</param>
/// <param name="ranks">N.</param>
/// <param name="machine">The slowest rank's rates.</param>
/// <param name="link">The slowest pair's.</param>
internal sealed class PlacementCost(ModelConfig config, WeightFormat weights, int rowBytes, int ranks, MachineRates machine, LinkRates link)
{
    private readonly double weightBytes = WeightFormats.Of(weights).WeightBytes;

    /// <summary>Seconds of a pass.</summary>
    /// <param name="parts">P, the parts of each expert: 1 is own, N is slice.</param>
    /// <param name="pass">The pass.</param>
    /// <param name="balancedness">Mean over highest load of ranks, as far as calibration tells; slice needs none.</param>
    public double Seconds(int parts, PassShape pass, double balancedness = 1) =>
        parts == ranks ? Sliced(pass) : Dealt(pass, parts, balancedness);

    /// <summary>
    /// ρ, the expected load of the busiest rank over the mean: what placement leaves, 1/balancedness, and what chance adds. T tokens choose k of E
    /// experts, each of which is on one of G = N/P groups of ranks: the most of G draws lies about m(G)·√(kT/G) above the mean kT/G, less so where
    /// k is a large share of E. m(G), the mean of the highest of G normal numbers, is 0.564·(log2 G)^0.8 to 5 % up to 64.
    /// </summary>
    /// <param name="moe">E, k.</param>
    /// <param name="groups">G.</param>
    /// <param name="rows">T.</param>
    /// <param name="balancedness">What placement leaves.</param>
    /// <param name="others">Whether one group is left out, and the highest of the others wanted.</param>
    public static double Imbalance(MoeConfig moe, double groups, double rows, double balancedness, bool others = false)
    {
        double distinct = moe.Experts > 1 ? (double)(moe.Experts - moe.TopK) / (moe.Experts - 1) : 0;
        double highest = 0.564 * Math.Pow(Math.Log2(others ? Math.Max(1, groups - 1) : groups), 0.8);
        double chance = highest * Math.Sqrt(distinct * groups / (moe.TopK * rows));
        return Math.Min(groups, 1 / balancedness + chance);
    }

    /// <summary>Seconds of some passes.</summary>
    public double Seconds(int parts, RankWork work, double balancedness = 1) => work.Passes.Sum(p => p.Times * Seconds(parts, p.Pass, balancedness));

    // Every rank has all rows, and 1/N of each matrix that can be cut; a sum over ranks follows each cut one.
    private double Sliced(PassShape pass)
    {
        double rows = pass.Rows, sum = AllReduce(rows, config.HiddenSize);
        double seconds = Matrices((double)config.Tensors.Head.Count / ranks, pass.Logits) + link.Seconds(Others * pass.Logits * config.VocabSize * sizeof(float));
        // Where heads don't divide, each rank has all of attention and needs no sum.
        bool heads = new TrunkCut(ranks, Rank: 0).CutsAttention(config.Attention);
        for (int l = 0; l < config.Layers; l++)
        {
            var layer = config.Tensors.Layer(l);
            double whole = Latents(layer.Attention), cut = Attention(layer.Attention) - whole;
            seconds += heads ? Matrices(whole + cut / ranks, rows) + sum : Matrices(whole + cut, rows);
            // The mean square of a query and of a key over all heads.
            if (heads && config.Attention.QueryKeyNorm == QueryKeyNorm.FullWidth)
                seconds += AllReduce(rows, 2);
            if ((layer.Mlp ?? layer.SharedExpert) is { } dense)
                seconds += Matrices((double)dense.Count / ranks, rows) + sum;
            if (layer.Router is { } router)
                seconds += Router(router, rows) + Experts(ranks, rows, imbalance: 1) + sum;
        }

        return seconds;
    }

    // Sequences are dealt out, and each rank has the whole trunk for its own; experts' rows go to the ranks that have a part, sums come back.
    private double Dealt(PassShape pass, int parts, double balancedness)
    {
        // A single one is rank 0's: the others wait while it computes the trunk, and rows and sums go one way at a time.
        bool single = pass.Sequences == 1;
        double memory = single ? machine.AloneBytesPerSecond : machine.BytesPerSecond;
        double share = Math.Ceiling((double)pass.Sequences / ranks) / pass.Sequences, rows = pass.Rows * share, logits = pass.Logits * share;
        double groups = (double)ranks / parts, hidden = config.HiddenSize;
        double seconds = Matrices(config.Tensors.Head.Count, logits, memory) + (single ? 0 : link.Seconds((pass.Logits - logits) * config.VocabSize * sizeof(float)));
        for (int l = 0; l < config.Layers; l++)
        {
            var layer = config.Tensors.Layer(l);
            seconds += Matrices(Attention(layer.Attention), rows, memory) + Matrices((layer.Mlp ?? layer.SharedExpert)?.Count ?? 0, rows, memory);
            if (layer.Router is not { } router)
                continue;
            var moe = config.Moe!;
            // A row goes once to each rank that has a part of one of its k experts: to the P ranks of each group that is hit.
            double sent = rows * parts * groups * (1 - Math.Pow(1 - 1 / groups, moe.TopK)) * Others;
            double there = sent * rowBytes, back = sent * hidden * sizeof(float);
            double busiest = Experts(parts, pass.Rows, Imbalance(moe, groups, pass.Rows, balancedness));
            seconds += Router(router, rows);
            if (single)
                // The only rank with rows computes its share at once; the busiest of the others has its rows later, and their sums are on their way.
                seconds += Math.Max(busiest, Experts(parts, pass.Rows, Imbalance(moe, groups, pass.Rows, balancedness, others: true)) + link.Seconds(there) + link.Seconds(back));
            else if (pass.Rows <= AllToAllExchange.FewRows)
                seconds += link.CrossedSeconds(there) + busiest + link.CrossedSeconds(back);
            else
                // The own rows first; the sums of all but the last rank's leave while the next one's are computed.
                seconds += Math.Max(link.CrossedSeconds(there), busiest / ranks) + busiest * Others + link.CrossedSeconds(back / (ranks - 1));
        }

        return seconds;
    }

    // The share of a rank's traffic that leaves it.
    private double Others => (ranks - 1.0) / ranks;

    // As RankCollective does it: all to all at once, or a share from each and back.
    private double AllReduce(double rows, int width)
    {
        double bytes = rows * width * sizeof(float);
        return ranks == 1 ? 0 : rows < ranks || bytes < RankCollective.ShareFrom ? link.CrossedSeconds((ranks - 1) * bytes) : 2 * link.CrossedSeconds(Others * bytes);
    }

    private double Matrices(double count, double rows, double? bytesPerSecond = null) =>
        Math.Max(count * weightBytes / (bytesPerSecond ?? machine.BytesPerSecond), 2 * count * rows / machine.OperationsPerSecond);

    // In f32, whatever the weights are.
    private double Router(TensorSpec router, double rows) => Math.Max(sizeof(float) * router.Count / machine.BytesPerSecond, 2 * router.Count * rows / machine.OperationsPerSecond);

    // E/N experts' worth of weights, of which those are read that a row chose: all but a share (1 − k/E)^T. Parts that aren't whole blocks are padded.
    private double Experts(int parts, double rows, double imbalance)
    {
        var moe = config.Moe!;
        double mine = 3.0 * config.HiddenSize * new NeuronLayout(moe.Intermediate / parts).Padded * parts * moe.Experts / ranks, chosen = (double)moe.TopK / moe.Experts;
        double read = 1 - Math.Pow(1 - chosen, rows * imbalance);
        return Math.Max(mine * read * weightBytes / machine.BytesPerSecond, 2 * mine * chosen * rows * imbalance / machine.OperationsPerSecond);
    }

    private static double Attention(AttentionTensors attention) => attention.All().Where(t => t.Shape.Length == 2).Sum(t => t.Count);

    // What comes before heads: every rank needs it whole.
    private static double Latents(AttentionTensors attention) => (attention.QueryDown?.Count ?? 0) + (attention.LatentDown?.Count ?? 0);
}
