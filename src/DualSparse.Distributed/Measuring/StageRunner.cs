namespace DualSparse.Distributed.Measuring;

/// <summary>Carries a rank's stages out by messages, and counts what it sends.</summary>
internal sealed unsafe class StageRunner(RankGroup group)
{
    private const int Tag = 11;

    private readonly List<RankMessage> sent = [];

    /// <summary>Runs stages to their end; all ranks run the same ones at the same time.</summary>
    /// <param name="stages">The stages.</param>
    /// <param name="what">Their name, for the sentence about a lost peer.</param>
    /// <returns>Bytes sent.</returns>
    public long Run(IReadOnlyList<ExchangeStage> stages, string what)
    {
        // Whoever is ahead finds the next stage's room ready.
        var arriving = stages.Select(stage => stage.Receives.Select(t => group.Receive(t.Peer, Tag, (void*)t.Address, t.Bytes)).ToArray()).ToArray();
        long bytes = 0;
        for (int i = 0; i < stages.Count; i++)
        {
            stages[i].Work();
            foreach (var t in stages[i].Sends)
            {
                sent.Add(group.Send(t.Peer, Tag, (void*)t.Address, t.Bytes));
                bytes += t.Bytes;
            }

            Finish(arriving[i], what);
        }

        Finish(sent, what);
        sent.Clear();
        return bytes;
    }

    private void Finish(IEnumerable<RankMessage> messages, string what)
    {
        foreach (var message in messages)
        {
            group.Wait(message, what);
            message.Dispose();
        }
    }
}
